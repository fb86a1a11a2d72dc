"""Errors as answers: JSON for programs, a page for people."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from shiftright.errors import Error, StoreError, UsageError
from shiftright.store.reviews import ReviewClosed
from shiftright.web import rendering
from shiftright.web.site import Site

_log = logging.getLogger("shiftright.web")


class NotFound(UsageError):
    """Nothing is at this address."""

    code = "not_found"


_STATUS: tuple[tuple[type[Error], int], ...] = (
    (NotFound, 404),
    (ReviewClosed, 409),
    (StoreError, 503),
    (Error, 400),
)
_CODES = {404: "not_found", 405: "method", 413: "too_large"}
_EMPTY = {"hint": None, "file": None, "line": None}
_HINTS = {
    404: "The paths are in /api/openapi.json; the pages begin at /.",
    405: "The methods of each path are in /api/openapi.json.",
    413: "Send less at once.",
}


def handlers(site: Site) -> dict[Any, Any]:
    """What FastAPI's ``exception_handlers`` takes."""

    def ours(request: Request, error: Error) -> Response:
        return refuse(site, request, status_of(error), error.as_dict())

    def theirs(request: Request, error: HTTPException) -> Response:
        code, hint = _CODES.get(error.status_code, "usage"), _HINTS.get(error.status_code)
        problem = {"code": code, "message": str(error.detail), "hint": hint}
        return refuse(site, request, error.status_code, problem, dict(error.headers or {}))

    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = {"code": "usage", "message": f"{where}: {first['msg']}", "hint": "See /api/openapi.json."}
        return refuse(site, request, 422, problem)

    def unforeseen(request: Request, error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        problem = {
            "code": "internal",
            "message": f"this program failed: {type(error).__name__}",
            "hint": "The server's log has the details; please report it.",
        }
        return refuse(site, request, 500, problem)

    return {
        Error: ours,
        HTTPException: theirs,
        RequestValidationError: invalid,
        Exception: unforeseen,
    }


def status_of(error: Error) -> int:
    return next(status for kind, status in _STATUS if isinstance(error, kind))


def refuse(
    site: Site, request: Request, status: int, problem: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    """The error in the form that whoever asked can read."""
    response: Response
    if is_page(request):
        # a part of a page that failed is told in its place
        name = "problem_part.html" if "hx-request" in request.headers else "problem.html"
        response = rendering.page(site, request, name, status=status, problem=_EMPTY | problem)
    else:
        told = {name: value for name, value in problem.items() if value is not None}
        response = Response(msgspec.json.encode({"error": told}), status, media_type="application/json")
    response.headers.update(headers or {})
    return response


def is_page(request: Request) -> bool:
    if request.url.path.startswith(("/api/", "/v1/", "/static/")):
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers
