"""Answers of the API as JSON, and what OpenAPI says of them: both from the same structs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from fastapi import FastAPI, Response

_encode = msgspec.json.Encoder().encode
_types: dict[str, Any] = {}


class Problem(msgspec.Struct, omit_defaults=True):
    """What went wrong, and the way out."""

    code: str
    message: str
    hint: str | None = None
    file: str | None = None
    line: int | None = None


class Refused(msgspec.Struct):
    error: Problem


def answer(value: Any, status: int = 200) -> Response:
    """A struct or plain data as JSON."""
    return Response(_encode(value), status, media_type="application/json")


def whole(struct: msgspec.Struct) -> dict[str, Any]:
    """All fields, defaults too, which the store's own encoding of it leaves out."""
    return msgspec.structs.asdict(struct)


def answers(kind: Any, *refusals: int) -> dict[int | str, dict[str, Any]]:
    """What FastAPI's ``responses`` takes: ``kind`` for 200, and statuses of errors that not every path has."""
    return {200: {"description": "What was asked for", "content": content_of(kind)}, **refused(*refusals)}


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The same for errors alone."""
    content = content_of(Refused)
    return {status: {"description": _WORDS[status], "content": content} for status in statuses}


EVERYWHERE = (400, 401, 403, 422, 503)
"""What any path may answer."""

_WORDS = {
    400: "The request makes no sense",
    401: "A key is needed",
    403: "Not from here",
    404: "There is no such thing",
    409: "Somebody else has done it already",
    413: "Too large",
    422: "A parameter is wrong",
    503: "The store cannot be read or written",
}


def content_of(kind: Any) -> dict[str, Any]:
    """OpenAPI's ``content`` of a body of this type."""
    (reference,), _ = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    _types[str(kind)] = kind
    return {"application/json": {"schema": reference}}


def install(app: FastAPI) -> None:
    """Add the structs' schemas to the application's OpenAPI document."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(_components(_types.values()))
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _components(kinds: Iterable[Any]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components(list(kinds), ref_template="#/components/schemas/{name}")
    return components
