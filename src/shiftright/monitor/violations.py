"""A clause proven broken on live traffic opens one Incident, whatever the number of traces that break it.

Windows for alarms begin at fixed moments (each UTC day, and each week since 1970), so that their confidence sequences
may be looked at every minute. Of all false alarms of a contract in a week, at most ``false_red`` are expected: each
clause gets its share, half of it for the week and half for its days.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from shiftright.core.incident import Incident, IncidentKind
from shiftright.core.spec import Check, Clause, Spec
from shiftright.core.trace import TraceFilter
from shiftright.core.verdict import LiveRow
from shiftright.decisions.live import FALLBACK, FEEDBACK, MEASURED
from shiftright.monitor.board import DAY, WEEK, Traffic
from shiftright.store import Records
from shiftright.store.telemetry import TelemetryStore
from shiftright.tracing.exchange import exchange

SHOWN = 5
_DAYS = 7
_LISTED = 500


def open_violations(
    spec: Spec, records: Records, telemetry: TelemetryStore, *, now: float | None = None
) -> list[Incident]:
    """Open an incident for each check that is proven broken and has none yet in this window, with reviews of the traces
    that show it. Blocks on the stores."""
    at = time.time() if now is None else now
    week = at - at % WEEK
    traffic = Traffic(spec, records, telemetry, week)
    clauses = sum(len(check.clauses) for check in (*spec.checks, *spec.live_checks))
    share = spec.confidence.false_red / (2 * max(clauses, 1))
    opened: list[Incident] = []
    reported: set[str] = set()
    for name, since, error in (("week", week, share), ("day", at - at % DAY, share / _DAYS)):
        for row in traffic.rows(since, 1.0 - error):
            if row.verdict != "broken" or row.check in reported or _known(records, spec, row, week):
                continue
            reported.add(row.check)
            subject = _subject(spec, row, name, since, at, records, telemetry)
            title = f"{row.check}: {row.target}: {row.reason}"
            opened.append(told(spec, records, "check", row.check, title, subject))
            ask(spec, row.check, row.reason, subject["traces"], records, telemetry)
    return opened


def told(
    spec: Spec, records: Records, kind: IncidentKind, check: str, title: str, subject: dict[str, Any]
) -> Incident:
    """An incident of what serves now."""
    release = records.releases.stable(spec.feature) or ""
    owner = str(spec.owner.get("is", ""))
    return records.incidents.open(kind, spec.feature, check, title, subject, release=release, owner=owner)


def ask(
    spec: Spec, name: str, reason: str, traces: Sequence[str], records: Records, telemetry: TelemetryStore
) -> None:
    """A review of each trace on which a person can say what would have been right: that makes the ``must`` case."""
    check = next(check for check in (*spec.checks, *spec.live_checks) if check.name == name)
    if check.score in MEASURED or check.score == FALLBACK:
        return
    for trace_id in traces:
        shown = exchange(telemetry.trace(trace_id))
        # who looks at it for another reason sees the same
        if shown is None or records.reviews.list("open", trace_id=trace_id, limit=1).data:
            continue
        subject = shown.subject() | {"check": name, "reason": reason}
        records.reviews.open("violation", subject, feature=spec.feature, trace_id=trace_id)


def _known(records: Records, spec: Spec, row: LiveRow, week: float) -> bool:
    """Is one of the check open, or was one closed this week? Who has seen it is not told again at once."""
    found = records.incidents.list(feature=spec.feature, check=row.check, limit=_LISTED)
    return any(
        incident.kind != "rollback" and (incident.status != "closed" or incident.opened_at >= week)
        for incident in found
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
    clause = next(clause for clause in check.clauses if clause.kind == row.clause)
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
        "traces": list(worst(check, clause, spec.feature, since, records, telemetry)),
    }


def worst(
    check: Check, clause: Clause, feature: str, since: float, records: Records, telemetry: TelemetryStore
) -> Iterator[str]:
    """Ids of a few traces since then that show it."""
    if check.score in MEASURED:
        slow = check.score == "latency"
        where = TraceFilter(
            feature=feature,
            since_ns=int(since * 1e9),
            min_ms=clause.bound * 1e3 if slow else None,
            min_cost_usd=None if slow else clause.bound,
        )
        yield from (trace.trace_id for trace in telemetry.traces(where, limit=SHOWN).data)
        return
    if check.score == FEEDBACK:
        given = records.feedback.list(feature, name=check.params.get("name"), since=since, limit=_LISTED).data
        judged = [(found.value, found.trace_id) for found in given if found.value is not None]
    else:
        scored = records.scores.window(feature, check.name, since=since, source="scorer")
        judged = [(found.score.value, found.trace_id) for found in scored if found.score.value is not None]
    # those without fault show nothing
    less = clause.kind == "at_most"
    judged = sorted((each for each in judged if (each[0] > 0.0 if less else each[0] < 1.0)), reverse=less)
    yield from dict.fromkeys(trace_id for _, trace_id in judged[:SHOWN])
