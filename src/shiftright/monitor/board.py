"""The live board of a feature: one row per clause and window of time, as a verdict has one per clause."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from math import inf

import msgspec

from shiftright.core.spec import Check, Spec
from shiftright.core.trace import Measure, TraceFilter
from shiftright.core.verdict import LiveRow
from shiftright.decisions import words
from shiftright.decisions.live import FEEDBACK, MEASURED, live_row, why_not
from shiftright.store import Records
from shiftright.store.telemetry import TelemetryStore

HOUR, DAY, WEEK = 3600.0, 86_400.0, 7 * 86_400.0
WINDOWS = (("1 h", HOUR), ("24 h", DAY), ("7 d", WEEK))
MOST_FEEDBACK = 20_000

Points = Sequence[tuple[float, float | None]]
"""(seconds since 1970, value): infinity for a failed call under a limit, None for a failed measurement."""


class Window(msgspec.Struct, frozen=True):
    """Traffic since ``since`` (seconds since 1970): traces begun, how many of them failed, what they cost together
    (what has no price is left out), and a row per clause."""

    name: str
    since: float
    traces: int
    failed: int
    cost_usd: float
    rows: tuple[LiveRow, ...]


class Board(msgspec.Struct, frozen=True):
    feature: str
    windows: tuple[Window, ...]

    def window(self, name: str) -> Window:
        return next(window for window in self.windows if window.name == name)


def board(
    spec: Spec,
    records: Records,
    telemetry: TelemetryStore,
    *,
    windows: Sequence[tuple[str, float]] = WINDOWS,
    now: float | None = None,
) -> Board:
    """How the contract stands on live traffic, over windows that end now. Blocks on the stores.

    Args:
        windows: names and lengths in seconds.
    """
    ends = time.time() if now is None else now
    traffic = Traffic(spec, records, telemetry, ends - max(length for _, length in windows))
    return Board(spec.feature, tuple(traffic.window(name, ends - length) for name, length in windows))


class Traffic:
    """What is known of a feature's traffic since a moment; read once, looked at over several windows."""

    def __init__(self, spec: Spec, records: Records, telemetry: TelemetryStore, since: float) -> None:
        self._spec = spec
        where = TraceFilter(feature=spec.feature, since_ns=int(since * 1e9))
        self._measures = telemetry.measures(where)
        self._points = {
            check.name: tuple(_points(check, spec.feature, self._measures, records, since))
            for check in (*spec.checks, *spec.live_checks)
            if why_not(check) is None
        }

    def window(self, name: str, since: float) -> Window:
        seen = [measure for measure in self._measures if measure.start_ns >= since * 1e9]
        return Window(
            name,
            since,
            len(seen),
            sum(measure.failed for measure in seen),
            sum(measure.cost_usd or 0.0 for measure in seen),
            tuple(self.rows(since)),
        )

    def rows(self, since: float, level: float = 0.95) -> Iterator[LiveRow]:
        """One per clause, in the contract's order, those of live traffic alone last."""
        for check in (*self._spec.checks, *self._spec.live_checks):
            reason = why_not(check)
            values = [value for at, value in self._points.get(check.name, ()) if at >= since]
            for clause in check.clauses:
                if reason is not None:
                    target = words.target(check, clause)
                    yield LiveRow(check.name, clause.kind, target, None, None, None, 0, reason)
                else:
                    yield live_row(check, clause, values, confidence=self._spec.confidence, level=level)


def _points(
    check: Check, feature: str, measures: Sequence[Measure], records: Records, since: float
) -> Points:
    if check.score in MEASURED:
        return [(measure.start_ns / 1e9, measured(check, measure)) for measure in measures]
    if check.score == FEEDBACK:
        return list(_feedback(check, feature, records, since))
    return records.scores.values(feature, check.name, since=since)


def measured(check: Check, measure: Measure) -> float | None:
    """As offline: a failed call is out of time and at the limit, unless only a mean without a limit is asked for."""
    unlimited = check.clause("mean_at_most") is not None and check.clause("each_at_most") is None
    if measure.failed and not unlimited:
        return inf
    return measure.duration_ms / 1e3 if check.score == "latency" else measure.cost_usd


def _feedback(
    check: Check, feature: str, records: Records, since: float
) -> Iterator[tuple[float, float | None]]:
    """The newest word on each trace counts: who changes their mind has one opinion."""
    seen: set[str] = set()
    cursor: str | None = None
    while True:
        page = records.feedback.list(
            feature, name=check.params.get("name"), since=since, limit=1_000, cursor=cursor
        )
        for row in page.data:
            if row.value is not None and row.trace_id not in seen:
                seen.add(row.trace_id)
                yield row.created_at, row.value
        cursor = page.next_cursor
        if cursor is None or len(seen) >= MOST_FEEDBACK:
            return
