"""A Span as telemetry keeps it, whoever made it: the gateway, a feature, or somebody's own instrumentation."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Operation = Literal[
    "chat",
    "embeddings",
    "feature",
    "agent",
    "tool",
    "retrieval",
    "guardrail",
    "other",
]
"""What a span does; instrumentations' many words for it are mapped to these (tracing.conventions)."""

Group = Literal["", "feature", "variant", "release", "model", "provider", "user", "service"]
Erasable = Literal["trace", "user", "session"]
Bucket = Literal["hour", "day"]


class SpanRow(msgspec.Struct, kw_only=True, gc=False, omit_defaults=True):
    """One finished span, OpenTelemetry's ids and times with the GenAI meaning drawn out.

    ``trace_id`` is 32 hex digits, ``span_id`` and ``parent_span_id`` 16 (a root has no parent: ""). Times are
    nanoseconds since 1970. ``error`` is what went wrong, None when nothing did. Tokens and ``cost_usd`` are of this
    span's own model call (None: no price is known), so that a trace's figures are sums; a span that only repeats its
    child's usage has zeros. ``input`` and ``output`` are JSON text (messages, arguments, results) or "".
    """

    trace_id: str
    span_id: str
    name: str
    start_ns: int
    end_ns: int
    parent_span_id: str = ""
    operation: Operation = "other"
    error: str | None = None
    service: str = ""
    feature: str = ""
    variant: str = ""
    release: str = ""
    user: str = ""
    session: str = ""
    provider: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = 0.0
    input: str = ""
    output: str = ""
    attributes: dict[str, Any] = {}


class TraceRow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One trace in a list: what its root says, and sums over its spans. Previews are the first 200 characters."""

    trace_id: str
    name: str
    start_ns: int
    duration_ms: float
    spans: int
    errors: int
    service: str = ""
    feature: str = ""
    variant: str = ""
    release: str = ""
    user: str = ""
    session: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    input_preview: str = ""
    output_preview: str = ""
    error: str | None = None


class TraceFilter(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Which traces; every condition given has to hold. ``text`` is looked for in inputs and outputs."""

    feature: str | None = None
    variant: str | None = None
    release: str | None = None
    model: str | None = None
    user: str | None = None
    session: str | None = None
    service: str | None = None
    failed: bool | None = None
    min_ms: float | None = None
    min_cost_usd: float | None = None
    text: str | None = None
    attribute: tuple[str, str] | None = None
    since_ns: int | None = None
    until_ns: int | None = None


class TracePage(msgspec.Struct, frozen=True):
    """Newest first; ``next_cursor`` is None at the end."""

    data: tuple[TraceRow, ...]
    next_cursor: str | None = None


class Measure(msgspec.Struct, frozen=True, gc=False):
    """What one trace took: begun at ``start_ns``, its root's time, its cost (None: a price is unknown)."""

    start_ns: int
    duration_ms: float
    cost_usd: float | None
    failed: bool


class Rollup(msgspec.Struct, kw_only=True, frozen=True):
    """Traffic of one bucket of time and one group: root spans counted, model calls summed, latencies of roots."""

    start_ns: int
    group: str
    traces: int
    errors: int
    cost_usd: float
    unpriced: int
    input_tokens: int
    output_tokens: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
