"""What telemetry keeps of one request: a root span, made when the answer has gone."""

from __future__ import annotations

import os
import re
import time
from typing import Any

import msgspec

from shiftright.core.answer import Answer, Span
from shiftright.core.trace import Operation, SpanRow
from shiftright.tracing import attributes as names

_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_NONE = "0"
_SERVICE = "shiftright"


class Ids(msgspec.Struct, frozen=True, gc=False):
    """Where a request stands in its trace (W3C trace context)."""

    trace_id: str
    span_id: str
    parent_span_id: str = ""

    @property
    def traceparent(self) -> str:
        """What a provider is told: our span is the parent of what it does."""
        return f"00-{self.trace_id}-{self.span_id}-01"


def ids_of(traceparent: str | None) -> Ids:
    """The caller's trace continued, or a new one; a header that cannot be read counts as none."""
    fresh = os.urandom(24).hex()
    if traceparent is not None:
        found = _PARENT.fullmatch(traceparent.strip())
        if found is not None and found[1].strip(_NONE) and found[2].strip(_NONE) and traceparent[:2] != "ff":
            return Ids(found[1], fresh[:16], found[2])
    return Ids(fresh[:32], fresh[32:])


class Record(msgspec.Struct):
    """One request as it becomes known; ``row`` makes the span of it."""

    ids: Ids
    start_ns: int
    path: str
    operation: Operation = "chat"
    feature: str = ""
    variant: str = ""
    provider: str = ""
    asked: str = ""
    model: str = ""
    user: str = ""
    session: str = ""
    key: str = ""
    input: str = ""
    output: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = 0.0
    status: int = 200
    error: str | None = None
    attempts: int = 0
    cached: bool = False
    stream: bool = False
    first_byte_ns: int = 0
    response_id: str = ""
    finish_reason: str = ""

    def row(self) -> SpanRow:
        ids = self.ids
        kept: dict[str, Any] = {names.URL_PATH: self.path, names.HTTP_STATUS: self.status}
        for name, value in (
            (names.REQUEST_MODEL, self.asked),
            (names.RESPONSE_ID, self.response_id),
            (names.KEY_NAME, self.key),
            (names.CACHED, self.cached),
            (names.STREAM, self.stream),
        ):
            if value:
                kept[name] = value
        if self.finish_reason:
            kept[names.FINISH_REASONS] = [self.finish_reason]
        if self.attempts > 1:
            kept[names.ATTEMPTS] = self.attempts
        if self.first_byte_ns:
            kept[names.FIRST_CHUNK_S] = (self.first_byte_ns - self.start_ns) / 1e9
        name = self.feature or f"{self.operation} {self.model or self.asked}".rstrip()
        return SpanRow(
            trace_id=ids.trace_id,
            span_id=ids.span_id,
            parent_span_id=ids.parent_span_id,
            name=name[:500],
            start_ns=self.start_ns,
            # a clock set back in between must not give an answer before its question
            end_ns=max(self.start_ns, time.time_ns()),
            operation=self.operation,
            error=self.error,
            service=_SERVICE,
            feature=self.feature,
            variant=self.variant,
            user=self.user,
            session=self.session,
            provider=self.provider,
            model=self.model,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cached_tokens=self.cached_tokens,
            reasoning_tokens=self.reasoning_tokens,
            cost_usd=self.cost_usd,
            input=self.input,
            output=self.output,
            attributes=kept,
        )
