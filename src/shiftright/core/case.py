"""A Case: one input, perhaps the expected output, and where it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Literal

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False):
    """One turn of a conversation, in OpenAI's chat shape. Unknown keys (tool calls, names) are kept in ``extra``."""

    role: str
    content: Any = None
    extra: dict[str, Any] = {}


class Case(msgspec.Struct, frozen=True, gc=False):
    """One input of a feature.

    Exactly one of ``input`` (any JSON value) and ``messages`` (a conversation) is given.
    ``group`` names the document, user or conversation that several cases share: one statistical unit.
    ``input_digest`` covers what the feature sees, ``digest`` also what the scorers see (``expected``).
    Of a ``sealed`` case nothing is written down but its numbers.
    """

    id: str
    input: Any = None
    messages: tuple[Message, ...] | None = None
    expected: Any = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    source: str | None = None
    input_digest: str = ""
    digest: str = ""
    sealed: bool = False

    @property
    def value(self) -> Any:
        """What the feature is called with: ``input``, or the conversation as a list of plain dicts."""
        if self.messages is None:
            return self.input
        return [{"role": m.role, "content": m.content, **m.extra} for m in self.messages]


def digest_of(*parts: Any) -> str:
    """32 hex digits of BLAKE2b over the parts as canonical JSON (keys sorted, so order in a file is irrelevant)."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else _canonical.encode(part)
        hasher.update(len(data).to_bytes(8, "little"))
        hasher.update(data)
    return hasher.hexdigest()


def digest_of_cases(cases: Iterable[Case]) -> str:
    """``digest_of`` the sorted [id, digest] pairs: which cases a set holds, whatever their order."""
    # joined bytes, not a list of pairs: tens of thousands of containers would each set off the garbage collector
    pairs = [_canonical.encode((case.id, case.digest)) for case in sorted(cases, key=attrgetter("id"))]
    return digest_of(b"[" + b",".join(pairs) + b"]")


_canonical = msgspec.json.Encoder(order="deterministic")

Split = Literal["dev", "gate", "must"]
