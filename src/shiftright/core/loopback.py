"""Which names and addresses are reached from this machine only, and which pages are this server's own."""

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


def same_origin(fetch_site: str | None, origin: str | None, host: str | None) -> bool:
    """Does a request come from a page of this very server, or from no page at all?

    Browsers say where it comes from (Sec-Fetch-Site, Origin); programs say nothing.
    """
    if fetch_site is not None:
        return fetch_site in ("same-origin", "none")
    return origin is None or origin.partition("://")[2] == host
