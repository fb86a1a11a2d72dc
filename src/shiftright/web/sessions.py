"""Proofs that a browser brings: of the key it logged in with, and of the page its form was on."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from shiftright.web.site import Site

COOKIE = "shiftright_session"
SESSION_S = 12 * 3600


def admitted(site: Site, headers: Headers) -> bool:
    """Is the key there, as a bearer token or as a session made with it?"""
    assert site.key is not None
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return equal(token.strip(), site.key)
    return _session_holds(site, _cookie(headers, COOKIE))


def equal(one: str, other: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def new_session(site: Site) -> str:
    """A cookie's value: until when, and the proof."""
    until = str(int(time.time()) + SESSION_S)
    return f"{until}.{_proof(site, 'session', until)}"


def _session_holds(site: Site, value: str) -> bool:
    until, _, proof = value.partition(".")
    return (
        until.isascii()
        and until.isdigit()
        and int(until[:12]) > time.time()
        and equal(proof, _proof(site, "session", until))
    )


def form_token(site: Site, headers: Headers) -> str:
    """What a page's forms send back: nobody who cannot read the page knows it."""
    return _proof(site, "form", _cookie(headers, COOKIE))


def _proof(site: Site, purpose: str, text: str) -> str:
    return hmac.new(site.secret, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()


def _cookie(headers: Headers, name: str) -> str:
    for part in headers.get("cookie", "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""
