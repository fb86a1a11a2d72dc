"""Who may ask: the key, the host, the origin of what changes something; and the headers of every answer."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shiftright.web.site import Site

COOKIE = "shiftright_session"
SESSION_S = 12 * 3600
OPEN_PATHS = ("/healthz", "/login", "/static/", "/v1/feedback")
"""Reached without a key. Feedback comes from browsers of users and proves itself with its own token."""
SAFE = ("GET", "HEAD", "OPTIONS")
LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'; img-src 'self' data:",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Protection:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app, self._site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answered.setdefault(name, value)
                answered.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is None:
            await self._app(scope, receive, guarded)
            return
        from starlette.requests import Request
        from starlette.responses import RedirectResponse

        from shiftright.web.problems import is_page, refuse

        request = Request(scope, receive)
        status, problem = refusal
        if status == 401 and is_page(request) and scope["method"] in SAFE:
            await RedirectResponse("/login", 303)(scope, receive, guarded)
            return
        extra = {"www-authenticate": "Bearer"} if status == 401 else None
        await refuse(self._site, request, status, problem, extra)(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, dict[str, str]] | None:
        """Status and error, or None where the request may pass."""
        path, key = scope["path"], self._site.key
        feedback = path == "/v1/feedback"
        if key is None and not feedback and _hostname(headers.get("host", "")) not in LOOPBACK:
            # any web page could reach an open server on this machine through a name of its own (DNS rebinding)
            return 403, {
                "code": "host",
                "message": "without a key this server answers to loopback names only",
                "hint": "Open it as http://127.0.0.1, or set SHIFTRIGHT_KEY and start it again.",
            }
        if scope["method"] not in SAFE and not feedback and not same_origin(headers):
            return 403, {
                "code": "origin",
                "message": "this request comes from another site's page",
                "hint": "Use the pages of this server, or a client that is not a web page.",
            }
        is_open = any(path == each or (each.endswith("/") and path.startswith(each)) for each in OPEN_PATHS)
        if key is None or is_open or admitted(self._site, headers):
            return None
        return 401, {
            "code": "credentials",
            "message": "a key is needed",
            "hint": "Send it as `Authorization: Bearer KEY` (SHIFTRIGHT_KEY), or log in at /login.",
        }


def _hostname(host: str) -> str:
    return host.rsplit(":", 1)[0] if not host.endswith("]") else host


def same_origin(headers: Headers) -> bool:
    """Does a request that changes something come from our own page, or from no page at all?

    Browsers say where it comes from (Sec-Fetch-Site, Origin); programs say nothing.
    """
    fetched = headers.get("sec-fetch-site")
    if fetched is not None:
        return fetched in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


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
