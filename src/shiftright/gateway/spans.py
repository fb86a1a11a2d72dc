"""What telemetry keeps of one request: a root span, made when the answer has gone."""

from __future__ import annotations

import os
import re
import time
from typing import Any, Literal

import msgspec

from shiftright.core.answer import Span, Usage
from shiftright.core.trace import Operation, SpanRow
from shiftright.improve.tokens import token
from shiftright.tracing import attributes as names

_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_NONE = "0"
SERVICE = "shiftright"


class Ids(msgspec.Struct, frozen=True, gc=False):
    """Where a request stands in its trace (W3C trace context)."""

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    feedback_token: str = ""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What every answer carries: its trace, and what opens feedback on it (docs/decisions/feedback-tokens.md)."""
        return [("x-trace-id", self.trace_id), ("x-feedback-token", self.feedback_token)]

    @property
    def traceparent(self) -> str:
        """What a provider is told: our span is the parent of what it does."""
        return f"00-{self.trace_id}-{self.span_id}-01"


def ids_of(traceparent: str | None, feedback_key: bytes) -> Ids:
    """The caller's trace continued, or a new one; a header that cannot be read counts as none."""
    fresh = os.urandom(24).hex()
    if traceparent is not None:
        found = _PARENT.fullmatch(traceparent.strip())
        if found is not None and found[1].strip(_NONE) and found[2].strip(_NONE) and traceparent[:2] != "ff":
            return Ids(found[1], fresh[:16], found[2], token(feedback_key, found[1]))
    return Ids(fresh[:32], fresh[32:], feedback_token=token(feedback_key, fresh[:32]))


class Assigned(msgspec.Struct, frozen=True, gc=False):
    """A request's place in a rollout; ``unit`` is a keyed hash, ``since_s`` when it was assigned (monotonic)."""

    rollout: str
    arm: Literal["canary", "control", "shadow"]
    probability: float
    unit: str
    since_s: float


class Record(msgspec.Struct):
    """One request as it becomes known; ``row`` makes the span of it."""

    ids: Ids
    start_ns: int
    path: str
    operation: Operation = "chat"
    feature: str = ""
    variant: str = ""
    release: str = ""
    assigned: Assigned | None = None
    shadow_of: str = ""
    rung: str = ""
    """Who answered instead of the feature, which failed."""
    provider: str = ""
    asked: str = ""
    model: str = ""
    user: str = ""
    session: str = ""
    key: str = ""
    input: str = ""
    output: str = ""
    usage: Usage = Usage()
    cost_usd: float | None = 0.0
    charged_usd: float = 0.0
    held_usd: float = 0.0
    asked_bytes: int = 0
    sent_bytes: int = 0
    status: int = 200
    error: str | None = None
    attempts: int = 0
    cached: bool = False
    stream: bool = False
    first_byte_ns: int = 0
    response_id: str = ""
    finish_reason: str = ""
    children: list[SpanRow] = []
    """Steps below the root."""

    def row(self) -> SpanRow:
        ids = self.ids
        kept: dict[str, Any] = {names.URL_PATH: self.path[:500], names.HTTP_STATUS: self.status}
        if self.asked:
            kept[names.REQUEST_MODEL] = self.asked
        if self.response_id:
            kept[names.RESPONSE_ID] = self.response_id
        if self.key:
            kept[names.KEY_NAME] = self.key
        if self.cached:
            kept[names.CACHED] = True
        if self.stream:
            kept[names.STREAM] = True
        if self.finish_reason:
            kept[names.FINISH_REASONS] = [self.finish_reason]
        if self.attempts > 1:
            kept[names.ATTEMPTS] = self.attempts
        usage = self.usage
        if usage.written_tokens:
            kept[names.CACHE_CREATION_TOKENS] = usage.written_tokens
        if self.first_byte_ns:
            kept[names.FIRST_CHUNK_S] = (self.first_byte_ns - self.start_ns) / 1e9
        if (assigned := self.assigned) is not None:
            kept[names.ROLLOUT], kept[names.ARM] = assigned.rollout, assigned.arm
            kept[names.PROBABILITY], kept[names.UNIT] = assigned.probability, assigned.unit
        if self.rung:
            kept[names.RUNG] = self.rung
        if self.shadow_of:
            kept[names.SHADOW_OF] = self.shadow_of
        name = self.feature or f"{self.operation} {self.model or self.asked}".rstrip()
        if name == "other":
            name = self.path
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
            service=SERVICE,
            feature=self.feature,
            variant=self.variant,
            release=self.release,
            user=self.user,
            session=self.session,
            provider=self.provider,
            model=self.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cost_usd=self.cost_usd,
            input=self.input,
            output=self.output,
            attributes=kept,
        )


def rows_of(record: Record, spans: tuple[Span, ...], began_ns: int) -> list[SpanRow]:
    """The steps of a feature call, begun then, below its root. Only model calls carry tokens and cost."""
    ids = [os.urandom(8).hex() for _ in spans]
    return [
        _child(
            record, span, ids[index], record.ids.span_id if span.parent < 0 else ids[span.parent], began_ns
        )
        for index, span in enumerate(spans)
    ]


def _child(record: Record, span: Span, span_id: str, parent: str, began_ns: int) -> SpanRow:
    kept = dict(span.attributes)
    operation = _OPERATIONS.get(str(kept.pop(names.OPERATION, "")), "other")
    asks = operation in ("chat", "embeddings")
    cost = kept.pop(names.COST_USD, None if asks and span.error is None else 0.0)
    return SpanRow(
        trace_id=record.ids.trace_id,
        span_id=span_id,
        parent_span_id=parent,
        name=span.name,
        start_ns=began_ns + span.start_us * 1000,
        end_ns=began_ns + max(span.start_us, span.end_us) * 1000,
        operation=operation,
        error=span.error,
        service=SERVICE,
        feature=record.feature,
        variant=record.variant,
        release=record.release,
        user=record.user,
        session=record.session,
        provider=str(kept.pop(names.PROVIDER, "")),
        model=str(kept.pop(names.RESPONSE_MODEL, None) or kept.get(names.REQUEST_MODEL, "")),
        input_tokens=int(kept.pop(names.INPUT_TOKENS, 0)),
        output_tokens=int(kept.pop(names.OUTPUT_TOKENS, 0)),
        cached_tokens=int(kept.pop(names.CACHE_READ_TOKENS, 0)),
        reasoning_tokens=int(kept.pop(names.REASONING_TOKENS, 0)),
        cost_usd=cost,
        input=_json(kept.pop(names.INPUT_MESSAGES, "") or kept.pop(names.TOOL_CALL_ARGUMENTS, "")),
        output=_json(kept.pop(names.OUTPUT_MESSAGES, "") or kept.pop(names.TOOL_CALL_RESULT, "")),
        attributes=kept,
    )


def _json(value: Any) -> str:
    """What our own spans hold is JSON text already, or a plain value."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_OPERATIONS: dict[str, Operation] = {
    "chat": "chat",
    "embeddings": "embeddings",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "retrieval": "retrieval",
    "guardrail": "guardrail",
}
