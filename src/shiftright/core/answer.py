"""An Answer: what one call of a feature gave, whether it worked, and what it took."""

from __future__ import annotations

from typing import Any

import msgspec

MOST_TOKENS = 1_000_000_000


def believable(tokens: int) -> int:
    """A count of tokens as somebody stated it, within 0 and a billion: sums of them stay numbers."""
    return max(0, min(MOST_TOKENS, tokens))


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one or more model calls. ``input_tokens`` includes ``cached_tokens``, which came from the provider's
    cache, and ``written_tokens``, which went into it."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    written_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.written_tokens + other.written_tokens,
        )


class Failure(msgspec.Struct, frozen=True, gc=False):
    """A failed call as data. ``kind`` is the error's code: feature, timeout, refused, malformed, provider, cap, …"""

    kind: str
    message: str


class Span(msgspec.Struct, frozen=True, gc=False, array_like=True, omit_defaults=True):
    """One step inside a call, compact; names of ``attributes`` are OpenTelemetry's (see tracing.attributes).

    ``start_us``/``end_us`` count microseconds from the call's start; ``parent`` is an index into the call's spans
    (-1: the call itself).
    """

    name: str
    start_us: int = 0
    end_us: int = 0
    parent: int = -1
    attributes: dict[str, Any] = {}
    error: str | None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What one call of a feature gave.

    ``output`` is plain JSON data (models are dumped); it is None when ``failure`` is set.
    ``latency_s`` is the time the answer took when it was first produced: a cached answer keeps its own.
    ``cost_usd`` is what the answer costs whoever asks, None where a price is unknown (never silently 0);
    ``spent_usd`` what was paid for it this time, when some of its model calls were cached. ``model_calls`` counts calls
    that reached a model, ``cached_calls`` those answered from the cache.
    """

    output: Any = None
    failure: Failure | None = None
    usage: Usage = Usage()
    cost_usd: float | None = 0.0
    latency_s: float = 0.0
    model_calls: int = 0
    cached_calls: int = 0
    spans: tuple[Span, ...] = ()
    spent_usd: float | None = 0.0
