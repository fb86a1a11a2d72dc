"""Who may ask: the key, the host, the origin of what changes something; and the headers of every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse

from shiftright.core.loopback import hostname, is_loopback, same_origin
from shiftright.web.problems import is_page, refuse
from shiftright.web.sessions import admitted

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shiftright.web.site import Site

OPEN_PATHS = ("/healthz", "/login", "/static/", "/v1/feedback")
"""Reached without a key. Feedback comes from browsers of users and proves itself with its own token."""
SAFE = ("GET", "HEAD", "OPTIONS")
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
        if key is None and not feedback and not is_loopback(hostname(headers.get("host", ""))):
            # any web page could reach an open server on this machine through a name of its own (DNS rebinding)
            return 403, {
                "code": "host",
                "message": "without a key this server answers to loopback names only",
                "hint": "Open it as http://127.0.0.1, or set SHIFTRIGHT_KEY and start it again.",
            }
        if scope["method"] not in SAFE and not feedback and not from_own_page(headers):
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


def from_own_page(headers: Headers) -> bool:
    return same_origin(headers.get("sec-fetch-site"), headers.get("origin"), headers.get("host"))
