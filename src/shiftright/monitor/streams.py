"""What a check says of live traffic, in the order in which it came: what a drift detector is fed."""

from __future__ import annotations

import time
from math import inf
from typing import NamedTuple

from shiftright.core.spec import Check
from shiftright.core.trace import TraceFilter
from shiftright.decisions.live import FEEDBACK, MEASURED
from shiftright.monitor.board import measured
from shiftright.store import Records
from shiftright.store.telemetry import TelemetryStore

AT_ONCE = 5_000
_SETTLED_S = 120.0
"""Latency and cost are read this long after a trace began, in the order in which traces began."""


class Observation(NamedTuple):
    """``cursor`` is where the stream goes on after it; None is a failed measurement."""

    cursor: str
    at: float
    value: float | None


def observations(
    check: Check, feature: str, seen: str, records: Records, telemetry: TelemetryStore
) -> list[Observation]:
    """At most ``AT_ONCE`` of them after ``seen`` ("": from the start), oldest first."""
    if check.score in MEASURED:
        return _measures(check, feature, seen, telemetry)
    if check.score == FEEDBACK:
        given = records.feedback.after(feature, check.params.get("name"), seen, limit=AT_ONCE)
        return [Observation(feedback_id, at, value) for feedback_id, _, at, value in given]
    scored = records.scores.after(feature, check.name, int(seen or 0), limit=AT_ONCE)
    return [Observation(str(number), at, value) for number, _, at, value in scored]


def _measures(check: Check, feature: str, seen: str, telemetry: TelemetryStore) -> list[Observation]:
    until = int((time.time() - _SETTLED_S) * 1e9)
    where = TraceFilter(feature=feature, since_ns=int(seen or 0) + 1, until_ns=until)
    found = sorted(telemetry.measures(where), key=lambda measure: measure.start_ns)[:AT_ONCE]
    values = [(measure.start_ns, measured(check, measure)) for measure in found]
    # a trace that failed is at the limit; one without a price says nothing of the cost
    return [
        Observation(str(at), at / 1e9, inf if value is None and check.score == "latency" else value)
        for at, value in values
    ]
