"""The request's body: what is read of it, and the one place where it is changed."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from shiftright.core.answer import believable
from shiftright.gateway.refusal import Refusal, malformed
from shiftright.gateway.routing import LONGEST_NAME
from shiftright.models.prices import Price

LARGEST_BYTES = 50_000_000

# Inside a JSON text every quote is escaped, so this finds keys only (of any depth, or that end in "model"). What is
# longer is no name.
_TRIED = 1000
_KEY = b'"model"'
_CANDIDATE = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.){0,2560}")', re.DOTALL)


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


class _Another(msgspec.Struct, gc=False):
    model: msgspec.Raw = msgspec.Raw()


_model = msgspec.json.Decoder(_Model)
_another = msgspec.json.Decoder(_Another)


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
    places = _places(body)
    if len(places) == 1 and places[0][1] == value:
        return body
    # each place gets a value that nobody has: the one that is read then stands at the key itself, all others are deeper
    parts: list[bytes] = []
    done = 0
    for number, place in enumerate(places):
        parts += (body[done : place.start(1)], b'"\\u0000%d"' % number)
        done = place.end(1)
    parts.append(body[done:])
    read = _model.decode(b"".join(parts)).model
    if read[:1] != "\0" or not read[1:].isdecimal():
        raise malformed("`model` has to be a plain key with a text")
    counts = places[int(read[1:])]
    if len(places) > 1:
        without = body[: counts.start()] + b'"-"' + body[counts.start() + len(_KEY) :]
        if _another.decode(without).model:
            raise malformed("`model` is there twice")
    return body[: counts.start(1)] + value + body[counts.end(1) :]


def _places(body: bytes) -> list[re.Match[bytes]]:
    """Where the key may be. It stands before or after the messages: it is looked for from both ends, and not through
    thousands of deeper ones."""
    first, last = body.find(_KEY), body.rfind(_KEY)
    if first == last:
        only = _CANDIDATE.match(body, max(0, first))
        return [] if only is None else [only]
    found: dict[int, re.Match[bytes]] = {}
    for _ in range(_TRIED):
        for at in (first, last):
            if at >= 0 and (place := _CANDIDATE.match(body, at)):
                found[at] = place
        if first >= last:
            break
        first, last = body.find(_KEY, first + 1, last), body.rfind(_KEY, first + 1, last + len(_KEY) - 1)
        if first < 0 and last < 0:
            break
    return [found[at] for at in sorted(found)]


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
