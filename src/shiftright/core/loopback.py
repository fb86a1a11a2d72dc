"""Which names and addresses are reached from this machine only: what a server without a key answers to."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Is this address or name, without a port, reached from this machine only?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name, and anybody may have it point here


def hostname(authority: str) -> str:
    """Of a Host header or of an origin after its scheme, without the port."""
    host, colon, port = authority.rpartition(":")
    return host if colon and port.isdecimal() else authority
