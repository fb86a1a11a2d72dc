"""What was seen of a feature before it had a contract: from traces and what people said of them, or from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from shiftright.core.trace import TraceFilter
from shiftright.datasets.result_files import reading
from shiftright.improve.reviews import CORRECT
from shiftright.store import Records
from shiftright.store.telemetry import TraceReader
from shiftright.tracing.exchange import Exchange, exchange

MOST = 2_000


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange. ``expected`` is the right answer where somebody said it. ``model`` is ``provider:name``; "" where
    the exchange was more than one model call. ``group`` is the session or user; latency and cost None when unknown."""

    source: str
    value: Any
    output: Any = None
    expected: Any = None
    system: str | None = None
    model: str = ""
    failed: bool = False
    latency_s: float | None = None
    cost_usd: float | None = None
    group: str | None = None


def of_traces(records: Records, telemetry: TraceReader, feature: str, *, limit: int) -> list[Observed]:
    """The newest traces of the feature; where none bears its name, the newest that belong to no feature."""
    named = list(_exchanges(telemetry, TraceFilter(feature=feature), limit))
    found = named or [told for told in _exchanges(telemetry, None, limit) if not told.feature]
    return [_observed(records, told) for told in found]


def of_file(path: Path) -> list[Observed]:
    """A result file of any known tool: rows with ``input``, and ``output`` or ``expected``.

    Raises:
        DatasetError: when it cannot be read.
    """
    return [
        Observed(
            source=f"{path.name}:{row.case_id}",
            value=row.input,
            output=row.output,
            expected=row.expected,
            failed=row.failure is not None,
            latency_s=row.latency_s,
            cost_usd=row.cost_usd,
            group=row.group,
        )
        for row in reading.read(path).rows
        if row.input is not None and row.repeat == 0
    ]


def _exchanges(telemetry: TraceReader, where: TraceFilter | None, limit: int) -> Iterator[Exchange]:
    left, cursor = min(limit, MOST), None
    while left > 0:
        page = telemetry.traces(where, limit=min(left, 200), cursor=cursor)
        for row in page.data:
            told = exchange(telemetry.trace(row.trace_id))
            if told is not None and told.value is not None:
                yield told
        left -= len(page.data)
        cursor = page.next_cursor
        if cursor is None:
            return


def _observed(records: Records, told: Exchange) -> Observed:
    by_model = not told.feature and bool(told.model)
    return Observed(
        source=f"trace:{told.trace_id}",
        value=told.value,
        output=told.output,
        expected=_said_right(records, told),
        system=told.system,
        model=f"{told.provider or 'openai'}:{told.model}" if by_model else "",
        failed=told.error is not None,
        latency_s=told.latency_s,
        cost_usd=told.cost_usd,
        group=told.session or told.user or None,
    )


def _said_right(records: Records, told: Exchange) -> Any:
    """A reviewer's correction first, then a user's, then the answer itself where a person called it right."""
    for review in records.reviews.list("resolved", trace_id=told.trace_id).data:
        if (review.resolution or {}).get("correction") is not None:
            return (review.resolution or {})["correction"]
    for said in reversed(records.feedback.of_trace(told.trace_id)):
        if said.correction is not None:
            return said.correction
    scores = [row.score for row in records.scores.of_trace(told.trace_id) if row.score.source == "human"]
    values = [score.value for score in scores if score.name == CORRECT and score.value is not None]
    return told.output if values and values[-1] >= 0.5 else None
