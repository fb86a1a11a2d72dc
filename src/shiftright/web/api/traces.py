"""``/api/traces``: what was asked, what came of it, what it took."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BeforeValidator, Field

from shiftright.core.trace import SpanRow, TraceFilter, TracePage, TraceRow
from shiftright.errors import UsageError
from shiftright.store.rows import FeedbackRow, ScoreRow
from shiftright.web.api.described import answer, answers, whole
from shiftright.web.moments import moment
from shiftright.web.problems import NotFound
from shiftright.web.site import Site

Text = Annotated[str | None, Query(max_length=500)]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]
# a form sends its empty fields too
_UNLESS_EMPTY = BeforeValidator(lambda value: None if value == "" else value)
Amount = Annotated[Annotated[float, Field(ge=0, le=1e12)] | None, _UNLESS_EMPTY]


class Tokens(msgspec.Struct):
    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0


class TraceScore(msgspec.Struct):
    """What a scorer, a user or a person (``author``) said of a trace. ``created_at`` is seconds since 1970."""

    name: str
    value: float | None
    label: str | None
    explanation: str | None
    source: str
    author: str
    failure: str | None
    created_at: float


class TraceFeedback(msgspec.Struct, kw_only=True):
    """A user's signal; ``value`` in [0, 1], ``created_at`` in seconds since 1970."""

    id: str
    name: str
    value: float | None
    comment: str | None
    correction: Any
    user: str | None
    created_at: float


class TraceDetail(msgspec.Struct):
    """One trace. ``cost_usd`` is None when a price is unknown; ``scores`` and ``feedback`` are about the whole."""

    trace_id: str
    name: str
    feature: str
    variant: str
    release: str
    user: str
    session: str
    start_ns: int
    duration_ms: float
    error: str | None
    tokens: Tokens
    cost_usd: float | None
    spans: tuple[SpanRow, ...]
    scores: list[TraceScore]
    feedback: list[TraceFeedback]


class Traces(msgspec.Struct):
    """Newest first; ``next_cursor`` is null at the end."""

    data: tuple[TraceRow, ...]
    next_cursor: str | None


def wanted(
    feature: Text = None,
    variant: Text = None,
    release: Text = None,
    model: Text = None,
    user: Text = None,
    session: Text = None,
    service: Text = None,
    failed: Annotated[bool | None, _UNLESS_EMPTY] = None,
    min_ms: Amount = None,
    min_cost_usd: Amount = None,
    text: Annotated[str | None, Query(max_length=500, description="In inputs and outputs.")] = None,
    attribute: Annotated[str | None, Query(max_length=500, description="`name=value`")] = None,
    since: Annotated[str | None, Query(max_length=40, description="`24h`, `7d`, or a date.")] = None,
    until: Annotated[str | None, Query(max_length=40, description="As `since`.")] = None,
) -> TraceFilter:
    """The filter an address asks for."""
    return TraceFilter(
        feature=feature or None,
        variant=variant or None,
        release=release or None,
        model=model or None,
        user=user or None,
        session=session or None,
        service=service or None,
        failed=failed,
        min_ms=min_ms,
        min_cost_usd=min_cost_usd,
        text=text or None,
        attribute=_attribute(attribute),
        since_ns=moment(since),
        until_ns=moment(until),
    )


Wanted = Annotated[TraceFilter, Depends(wanted)]


def _attribute(text: str | None) -> tuple[str, str] | None:
    if not text:
        return None
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{text[:60]!r} is no attribute", hint="Write name=value.")
    return name, value


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/traces", tags=["traces"])

    @router.get("", responses=answers(Traces), response_class=Response)
    def list_traces(where: Wanted, limit: Limit = 50, cursor: Cursor = None) -> Response:
        """The newest first."""
        page: TracePage = site.telemetry.traces(where, limit=limit, cursor=cursor or None)
        return answer({"data": [whole(row) for row in page.data], "next_cursor": page.next_cursor})

    @router.get("/{trace_id}", responses=answers(TraceDetail, 404), response_class=Response)
    def get_trace(trace_id: str) -> Response:
        """One trace with all its spans by start."""
        found = trace(site, trace_id)
        return answer({**whole(found), "spans": [whole(span) for span in found.spans]})

    return router


def trace(site: Site, trace_id: str) -> TraceDetail:
    """
    Raises:
        NotFound: when no span of such a trace is stored.
    """
    spans = site.telemetry.trace(trace_id)
    if not spans:
        raise NotFound(
            f"there is no trace {trace_id[:80]!r}",
            hint="It may not have been written yet, or have been pruned: GET /api/traces lists what is there.",
        )
    root = root_of(spans)
    return TraceDetail(
        trace_id=root.trace_id,
        name=root.name,
        feature=_first(spans, "feature"),
        variant=_first(spans, "variant"),
        release=_first(spans, "release"),
        user=_first(spans, "user"),
        session=_first(spans, "session"),
        start_ns=min(span.start_ns for span in spans),
        duration_ms=(max(span.end_ns for span in spans) - min(span.start_ns for span in spans)) / 1e6,
        error=root.error,
        tokens=Tokens(
            sum(span.input_tokens for span in spans),
            sum(span.output_tokens for span in spans),
            sum(span.cached_tokens for span in spans),
            sum(span.reasoning_tokens for span in spans),
        ),
        cost_usd=_cost(spans),
        spans=spans,
        scores=[_score(row) for row in site.records.scores.of_trace(root.trace_id)],
        feedback=[feedback(row) for row in site.records.feedback.of_trace(root.trace_id)],
    )


def root_of(spans: tuple[SpanRow, ...]) -> SpanRow:
    """The span without a parent; of a trace that has none (yet), the first whose parent is not here."""
    ids = {span.span_id for span in spans}
    orphans = [span for span in spans if span.parent_span_id not in ids]
    return next((span for span in orphans if not span.parent_span_id), (orphans or list(spans))[0])


def _first(spans: tuple[SpanRow, ...], name: str) -> str:
    return next((value for span in spans if (value := getattr(span, name))), "")


def _cost(spans: tuple[SpanRow, ...]) -> float | None:
    costs = [span.cost_usd for span in spans]
    return None if any(cost is None for cost in costs) else sum(cost or 0.0 for cost in costs)


def _score(row: ScoreRow) -> TraceScore:
    said = row.score
    return TraceScore(
        name=said.name,
        value=said.value,
        label=said.label,
        explanation=said.explanation,
        source=said.source,
        author=row.author,
        failure=said.failure,
        created_at=row.created_at,
    )


def feedback(row: FeedbackRow) -> TraceFeedback:
    return TraceFeedback(
        id=row.id,
        name=row.name,
        value=row.value,
        comment=row.comment,
        correction=row.correction,
        user=row.user,
        created_at=row.created_at,
    )
