"""The request's body: what is read of it, and the one place where it is changed."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from shiftright.gateway.refusal import Refusal, malformed

LARGEST_BYTES = 50_000_000

# Inside a JSON text every quote is escaped, so this finds keys only (of any depth, or that end in "model").
_TRIED = 20
_NOBODY = b'"\\u0000"'
"""A model nobody has: put in one place, it shows whether that place is the one that counts."""
_CANDIDATE = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")', re.DOTALL)


class Asked(msgspec.Struct, gc=False):
    """What is read of a request; everything else passes unseen."""

    model: str
    stream: bool | None = False
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    user: str | None = None
    temperature: msgspec.Raw = msgspec.Raw()
    top_p: msgspec.Raw = msgspec.Raw()
    seed: msgspec.Raw = msgspec.Raw()
    max_tokens: msgspec.Raw = msgspec.Raw()
    max_completion_tokens: msgspec.Raw = msgspec.Raw()

    @property
    def prompt(self) -> str:
        """Messages or input as JSON text."""
        return str(bytes(self.messages or self.input), "utf-8")


_decoder = msgspec.json.Decoder(Asked)


class _Model(msgspec.Struct, gc=False):
    model: str


_model = msgspec.json.Decoder(_Model)


async def read(scope: Any, proto: Any) -> bytes:
    """The whole body.

    Raises:
        Refusal: 413 above 50 MB; what was announced larger is not read at all.
    """
    announced = scope.headers.get("content-length")
    if announced is not None and announced.isdecimal():
        if int(announced) > LARGEST_BYTES:
            raise _too_large()
        body: bytes = await proto()
        return body
    parts: list[bytes] = []
    size = 0
    async for part in proto:
        size += len(part)
        if size > LARGEST_BYTES:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def decode(body: bytes) -> Asked:
    """
    Raises:
        Refusal: 400 for what is no JSON object with a ``model``.
    """
    try:
        asked = _decoder.decode(body)
        # what is passed on unseen is still text: checked here, so that no later step meets bytes that are none
        if not body.isascii():
            body.decode("utf-8")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise malformed(f"the body cannot be read: {cause}") from None
    return asked


def with_model(body: bytes, model: str) -> bytes:
    """The body with another value of its ``model``, byte for byte the same elsewhere.

    Raises:
        Refusal: 400 when ``model`` is there twice, or written with escapes in its name.
    """
    value = msgspec.json.encode(model)
    places = list(_CANDIDATE.finditer(body))
    if len(places) > 1:
        # deeper keys of the same name, or the same key twice: seldom, so this may take its time
        try:
            keys: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
        except (ValueError, RecursionError) as cause:
            raise malformed(f"the body cannot be read: {cause}") from None
        if sum(key == "model" for key, _ in keys) > 1:
            raise malformed("`model` is there twice")
        # the key stands before or after the messages: nearest to an end first, and not through thousands of deeper ones
        places.sort(key=lambda place: min(place.start(), len(body) - place.end()))
    for place in places[:_TRIED]:
        if len(places) == 1 and place[1] == value:
            return body
        if _model.decode(_with(body, place, _NOBODY)).model == "\0":
            return _with(body, place, value)
    raise malformed("`model` has to be a plain key with a text")


def _with(body: bytes, place: re.Match[bytes], value: bytes) -> bytes:
    return body[: place.start(1)] + value + body[place.end(1) :]


def with_parameters(body: bytes, asked: Asked, parameters: dict[str, Any]) -> bytes:
    """The body with a variant's parameters where the request names none of its own."""
    added = b"".join(
        msgspec.json.encode(name) + b":" + msgspec.json.encode(value) + b","
        for name, value in parameters.items()
        if not getattr(asked, name) and not (name == "max_tokens" and asked.max_completion_tokens)
    )
    if not added:
        return body
    start = body.index(b"{") + 1
    return body[:start] + added + body[start:]


def _too_large() -> Refusal:
    return Refusal(
        413, "request_too_large", f"the body is larger than {LARGEST_BYTES // 1_000_000} MB", final=True
    )
