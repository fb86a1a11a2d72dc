"""A clause proven broken on live traffic opens one Review, whatever the number of traces that break it.

Windows for alarms begin at fixed moments (each UTC day, and each week since 1970), so that their confidence sequences
may be looked at every minute. Of all false alarms of a contract in a week, at most ``false_red`` are expected: each
clause gets its share, half of it for the week and half for its days.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from shiftright.core.spec import Check, Spec
from shiftright.core.trace import TraceFilter
from shiftright.core.verdict import LiveRow
from shiftright.decisions.live import FEEDBACK, MEASURED
from shiftright.monitor.board import DAY, WEEK, Traffic
from shiftright.store import Records
from shiftright.store.rows import ReviewRow
from shiftright.store.telemetry import TelemetryStore

SHOWN = 5
_DAYS = 7
_LISTED = 500


def open_violations(
    spec: Spec, records: Records, telemetry: TelemetryStore, *, now: float | None = None
) -> list[ReviewRow]:
    """Open a review for each clause that is proven broken and has none yet in this window. Blocks on the stores."""
    at = time.time() if now is None else now
    week = at - at % WEEK
    traffic = Traffic(spec, records, telemetry, week)
    clauses = sum(len(check.clauses) for check in (*spec.checks, *spec.live_checks))
    share = spec.confidence.false_red / (2 * max(clauses, 1))
    opened: list[ReviewRow] = []
    reported: set[tuple[str, str]] = set()
    for name, since, error in (("week", week, share), ("day", at - at % DAY, share / _DAYS)):
        for row in traffic.rows(since, 1.0 - error):
            key = row.check, row.clause
            if row.verdict != "broken" or key in reported or _known(records, spec.feature, key, week):
                continue
            reported.add(key)
            subject = _subject(spec, row, name, since, at, records, telemetry)
            opened.append(records.reviews.open("violation", subject, feature=spec.feature))
    return opened


def _known(records: Records, feature: str, key: tuple[str, str], week: float) -> bool:
    """Is a review of it open, or was one closed this week? Who has seen it is not told again at once."""
    found = records.reviews.list(None, feature=feature, kind="violation", limit=_LISTED).data
    return any(
        (review.subject.get("check"), review.subject.get("clause")) == key
        and (review.status == "open" or review.created_at >= week)
        for review in found
    )


def _subject(
    spec: Spec,
    row: LiveRow,
    window: str,
    since: float,
    until: float,
    records: Records,
    telemetry: TelemetryStore,
) -> dict[str, Any]:
    check = next(check for check in (*spec.checks, *spec.live_checks) if check.name == row.check)
    return {
        "check": row.check,
        "clause": row.clause,
        "target": row.target,
        "reason": row.reason,
        "estimate": row.estimate,
        "interval": row.interval,
        "n": row.n,
        "window": window,
        "since": since,
        "until": until,
        "traces": list(_worst(check, row, spec.feature, since, records, telemetry)),
    }


def _worst(
    check: Check, row: LiveRow, feature: str, since: float, records: Records, telemetry: TelemetryStore
) -> Iterator[str]:
    """Ids of a few traces that show it."""
    if check.score in MEASURED:
        clause = check.clause(row.clause)
        bound = 0.0 if clause is None else clause.bound
        slow = check.score == "latency"
        where = TraceFilter(
            feature=feature,
            since_ns=int(since * 1e9),
            min_ms=bound * 1e3 if slow else None,
            min_cost_usd=None if slow else bound,
        )
        yield from (trace.trace_id for trace in telemetry.traces(where, limit=SHOWN).data)
        return
    if check.score == FEEDBACK:
        given = records.feedback.list(feature, name=check.params.get("name"), since=since, limit=_LISTED).data
        judged = [(found.value, found.trace_id) for found in given if found.value is not None]
    else:
        scored = records.scores.window(feature, check.name, since=since, source="scorer")
        judged = [(found.score.value, found.trace_id) for found in scored if found.score.value is not None]
    judged.sort(reverse=row.clause == "at_most")
    yield from dict.fromkeys(trace_id for _, trace_id in judged[:SHOWN])
