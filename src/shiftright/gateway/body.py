"""The request's body: what is read of it, and the one place where it is changed."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import msgspec

from shiftright.core.answer import believable
from shiftright.gateway.refusal import Refusal, malformed
from shiftright.gateway.routing import LONGEST_NAME
from shiftright.models.prices import Price

LARGEST_BYTES = 50_000_000

# Inside a JSON text every quote is escaped, so this finds keys only (of any depth, or that end in "model").
_TRIED = 20
_CANDIDATE = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")', re.DOTALL)


class Asked(msgspec.Struct, gc=False):
    """What is read of a request; everything else passes unseen."""

    model: Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
    stream: bool | None = False
    messages: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    user: str | None = None
    temperature: msgspec.Raw = msgspec.Raw()
    top_p: msgspec.Raw = msgspec.Raw()
    seed: msgspec.Raw = msgspec.Raw()
    max_tokens: msgspec.Raw = msgspec.Raw()
    max_completion_tokens: msgspec.Raw = msgspec.Raw()
    max_output_tokens: msgspec.Raw = msgspec.Raw()
    n: msgspec.Raw = msgspec.Raw()

    @property
    def prompt(self) -> str:
        """Messages or input as JSON text."""
        return str(bytes(self.messages or self.input), "utf-8")

    def expected_usd(self, price: Price, size: int) -> float | None:
        """USD that a body of this many bytes may cost, before it is asked."""
        longest = (
            _count(self.max_completion_tokens) or _count(self.max_output_tokens) or _count(self.max_tokens)
        )
        return price.expected(size, longest, answers=_count(self.n) or 1)


def _count(raw: msgspec.Raw) -> int:
    """A number as the request says it; 0 for anything else."""
    text = bytes(raw)
    return believable(int(text)) if text.isdigit() and len(text) < 18 else 0


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
        changed = body[: place.start(1)] + value + body[place.end(1) :]
        if len(places) == 1 and place[1] == value:
            return body
        if _model.decode(changed).model == model and _model.decode(_without(body, place)).model != model:
            return changed
    raise malformed("`model` has to be a plain key with a text")


def _without(body: bytes, place: re.Match[bytes]) -> bytes:
    """The body with a model nobody has at this place: it shows whether the place is the one that counts."""
    return body[: place.start(1)] + b'"\\u0000"' + body[place.end(1) :]


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
