"""What follows from a rollout's end: the chain's record, the incident, the reviews; each once, however often."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from typing import Any

from shiftright.core.rollout import Rollout
from shiftright.ship.promotion import promote
from shiftright.store import Records
from shiftright.store.rows import FollowedRow, OutcomeRow
from shiftright.tracing.exchange import Lookup, exchange

REVIEWED = 10
"""Failing inputs that become reviews: an inbox that nobody can empty is not read."""
_PAGE = 10_000


def settle(row: FollowedRow, records: Records, lookup: Lookup | None) -> None:
    """All that an ended rollout still asks for.

    Args:
        lookup: spans of a trace; without it reviews show no input.

    Raises:
        StoreError: the records cannot be written now; settling again goes on from there.
    """
    rollout = row.rollout
    if rollout.state == "promoted":
        promote(records, rollout.feature, rollout.candidate, rollout=rollout.id, reason=rollout.reason)
    else:
        records.releases.append(
            "back",
            rollout.feature,
            rollout.candidate,
            {"rollout": rollout.id, "control": rollout.control},
            by=rollout.by,
            reason=rollout.reason,
            same=lambda record: record.content.get("rollout") == rollout.id,
        )
        _tell(row, records, lookup)
    records.rollouts.settle(rollout)


def _tell(row: FollowedRow, records: Records, lookup: Lookup | None) -> None:
    """A breach is an incident; that nothing could be proven in time is none."""
    rollout, move = row.rollout, row.evidence.get("move") or {}
    person = rollout.state == "stopped"
    if not person and move.get("cause") == "time":
        return
    check = "" if person else str(move.get("check", ""))
    worst = _worst(rollout, check, records)
    traces = [trace_id for outcome in worst for trace_id in outcome.traces[:1]]
    title = "taken back by a person" if person else rollout.reason
    records.incidents.open(
        "rollback",
        rollout.feature,
        check,
        title,
        {
            "checks": row.evidence.get("checks", []),
            "shadow": row.evidence.get("shadow", []),
            "traces": traces,
        },
        release=rollout.candidate,
        rollout=rollout.id,
        owner=rollout.plan.owner,
    )
    for trace_id in traces if check else ():
        subject = _shown(trace_id, lookup) | {
            "check": check,
            "reason": rollout.reason,
            "rollout": rollout.id,
            "release": rollout.candidate,
        }
        records.reviews.open("violation", subject, feature=rollout.feature, trace_id=trace_id)


def _worst(rollout: Rollout, check: str, records: Records) -> list[OutcomeRow]:
    """The canary's units that did worst on the check, the newest of them first; without a check by their worst one."""

    def badness(outcome: OutcomeRow) -> tuple[float, int]:
        values = [v for name, v in outcome.scores.items() if v is not None and check in ("", name)]
        return min(values), -outcome.position

    def failing() -> Iterator[OutcomeRow]:
        position = 0
        while rows := records.rollouts.outcomes(rollout.id, since=position, limit=_PAGE):
            position = rows[-1].position + 1
            for outcome in rows:
                values = [v for name, v in outcome.scores.items() if v is not None and check in ("", name)]
                # of a difference anything below none is worse; of a score what is not perfect
                perfect = 0.0 if outcome.probability == 0.0 else 1.0
                if outcome.canary and values and min(values) < perfect:
                    yield outcome

    return nsmallest(REVIEWED, failing(), key=badness)


def _shown(trace_id: str, lookup: Lookup | None) -> dict[str, Any]:
    told = None if lookup is None else exchange(lookup(trace_id))
    return {} if told is None else told.subject()
