"""Traces, and one of them."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Request, Response

from shiftright.core.trace import Group, SpanRow, TraceFilter
from shiftright.tracing import attributes as names
from shiftright.web import rendering
from shiftright.web.api.traces import Cursor, TraceDetail, Wanted, trace
from shiftright.web.conversation import Share, Turn, turns, window
from shiftright.web.site import Site

PAGE = 50
MOST_SPANS = 500
"""Shown of one trace: an agent that ran all night is read through the API."""
TIMES = (("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"), ("", "ever"))
FIELDS = (
    *("feature", "variant", "model", "release", "failed", "since", "text"),
    *("user", "session", "min_ms", "min_cost_usd", "attribute"),
)


COLUMNS: tuple[Group, ...] = ("feature", "variant", "model", "release")
RECENT_NS = 7 * 86_400 * 10**9


class Bar(msgspec.Struct, frozen=True):
    """One span in the waterfall; ``start`` and ``width`` in thousandths of the trace's time."""

    span: SpanRow
    depth: int
    start: float
    width: float
    ms: float
    input: tuple[Turn, ...]
    output: tuple[Turn, ...]
    window: tuple[Share, ...]
    attributes: dict[str, Any]


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/traces", include_in_schema=False)

    @router.get("")
    def list_traces(request: Request, where: Wanted, cursor: Cursor = None) -> Response:
        page = site.telemetry.traces(where, limit=PAGE, cursor=cursor or None)
        asked = {name: request.query_params.get(name, "") for name in FIELDS}
        query = {name: value for name, value in asked.items() if value}
        following = page.next_cursor and f"/traces?{urlencode({**query, 'cursor': page.next_cursor})}"
        partial = request.headers.get("hx-request-type") == "partial"
        return rendering.page(
            site,
            request,
            "traces.html",
            block="found" if partial else None,
            rows=page.data,
            next_address=following,
            asked=asked,
            filtered=bool(query) or cursor is not None,
            times=TIMES,
            choices={} if partial else _choices(site, asked),
        )

    @router.get("/{trace_id}")
    def one(request: Request, trace_id: str) -> Response:
        found = trace(site, trace_id)
        return rendering.page(
            site,
            request,
            "trace.html",
            trace=found,
            bars=_waterfall(found),
            left_out=max(len(found.spans) - MOST_SPANS, 0),
        )

    return router


def _choices(site: Site, asked: dict[str, str]) -> dict[str, list[str]]:
    """What each filter can be set to: what there was in a week (ever, where that is nothing), and its setting."""
    for where in (TraceFilter(since_ns=time.time_ns() - RECENT_NS), TraceFilter()):
        found = {
            column: [value for value in site.telemetry.values(column, where) if value] for column in COLUMNS
        }
        if any(found.values()):
            break
    return {
        column: values if asked[column] in ("", *values) else [asked[column], *values]
        for column, values in found.items()
    }


def _waterfall(found: TraceDetail) -> list[Bar]:
    """Spans as a tree, children by start; each once, whatever their parents say."""
    children: dict[str, list[SpanRow]] = {}
    ids = {span.span_id for span in found.spans}
    for span in found.spans:
        parent = span.parent_span_id if span.parent_span_id in ids else ""
        children.setdefault(parent, []).append(span)
    whole_ns = max(found.duration_ms * 1e6, 1.0)
    retrieved = [span.output for span in found.spans if span.operation == "retrieval"]
    bars: list[Bar] = []
    todo = [(span, 0) for span in reversed(children.get("", []))]
    seen: set[str] = set()
    while todo and len(bars) < MOST_SPANS:
        span, depth = todo.pop()
        if span.span_id in seen:
            continue
        seen.add(span.span_id)
        bars.append(_bar(span, depth, found.start_ns, whole_ns, retrieved))
        todo += [(child, depth + 1) for child in reversed(children.get(span.span_id, []))]
    return bars or [_bar(span, 0, found.start_ns, whole_ns, retrieved) for span in found.spans[:MOST_SPANS]]


def _bar(span: SpanRow, depth: int, start_ns: int, whole_ns: float, retrieved: list[str]) -> Bar:
    took = max(span.end_ns - span.start_ns, 0)
    asked = turns(span.input)
    return Bar(
        span=span,
        depth=min(depth, 12),
        start=round(1000 * (span.start_ns - start_ns) / whole_ns, 1),
        width=round(max(1000 * took / whole_ns, 3.0), 1),
        ms=took / 1e6,
        input=asked,
        output=turns(span.output),
        window=window(asked, span.input_tokens, retrieved=retrieved) if span.operation == "chat" else (),
        attributes={key: value for key, value in span.attributes.items() if key not in _MESSAGES},
    )


_MESSAGES = (names.INPUT_MESSAGES, names.OUTPUT_MESSAGES)
