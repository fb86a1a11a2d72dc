"""From requests and scores to outcomes of units: what a user's requests were worth, per check."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import fsum

import msgspec

from shiftright.core.rollout import Guarded
from shiftright.decisions.live import FEEDBACK
from shiftright.ship.guarding import ANSWERED, counts_failures
from shiftright.store import Records
from shiftright.store.rows import ExposureRow, OutcomeRow

_AT_ONCE = 1_000
COMPLAINT = "complaint"


class Unit(msgspec.Struct):
    """A unit whose outcome is awaited: its first request says its arm, ``since_s`` (of the rollout's own clock) when it
    began. At most ``MOST`` of its requests are looked at."""

    first: ExposureRow
    since_s: float
    requests: list[ExposureRow]

    MOST = 100

    @property
    def shadow(self) -> bool:
        return self.first.probability == 0.0


Scores = dict[str, dict[str, float | None]]
"""By trace: check -> value, higher is better; None where the measurement failed."""


def outcomes(
    units: Sequence[Unit], checks: Sequence[Guarded], records: Records, position: int
) -> list[OutcomeRow]:
    """The outcomes of units whose time is up, to be logged from ``position`` on, in this order."""
    rows: list[OutcomeRow] = []
    for start in range(0, len(units), _AT_ONCE):
        batch = units[start : start + _AT_ONCE]
        scores = _scores([each.trace_id for unit in batch for each in unit.requests], checks, records)
        rows += [_outcome(unit, checks, scores, position + start + k) for k, unit in enumerate(batch)]
    return rows


def _outcome(unit: Unit, checks: Sequence[Guarded], scores: Scores, position: int) -> OutcomeRow:
    values: dict[str, float | None] = {}
    for check in checks:
        if unit.shadow:
            copy, live = (_mean(_arm(unit, arm), check, scores) for arm in ("shadow", "control"))
            values[check.check] = None if copy is None or live is None else copy - live
        else:
            values[check.check] = _mean(unit.requests, check, scores)
    return OutcomeRow(
        position=position,
        unit=unit.first.unit,
        canary=unit.shadow or unit.first.arm == "canary",
        probability=unit.first.probability,
        scores=values,
        traces=tuple(each.trace_id for each in unit.requests),
    )


def _arm(unit: Unit, arm: str) -> list[ExposureRow]:
    return [each for each in unit.requests if each.arm == arm]


def _mean(requests: Sequence[ExposureRow], check: Guarded, scores: Scores) -> float | None:
    values = [value for each in requests if (value := _value(each, check, scores)) is not None]
    return min(max(fsum(values) / len(values), check.low), check.high) if values else None


def _value(request: ExposureRow, check: Guarded, scores: Scores) -> float | None:
    """One request's; None where it was not measured. A failed measurement says nothing here: it may hit both arms."""
    if request.failed and counts_failures(check):
        return check.low
    if check.score == ANSWERED:
        return check.high
    if check.limit is not None:
        took = request.latency_s if check.score == "latency" else request.cost_usd
        return None if took is None else check.high if took <= check.limit else check.low
    value = scores.get(request.trace_id, {}).get(check.check)
    return None if value is None else check.low + check.high - value if check.inverted else value


def _scores(trace_ids: Sequence[str], checks: Sequence[Guarded], records: Records) -> Scores:
    found: Scores = defaultdict(dict)
    wanted = {check.check for check in checks if check.limit is None and check.score != FEEDBACK}
    if wanted - {ANSWERED}:
        for scored in records.scores.of_traces(trace_ids):
            # what a user complained of was looked at for that reason, more often in the worse arm
            if scored.score.source == "scorer" and scored.author != COMPLAINT and scored.score.name in wanted:
                found[scored.trace_id][scored.score.name] = scored.score.value
    users = [check for check in checks if check.score == FEEDBACK]
    for given in records.feedback.of_traces(trace_ids) if users else ():
        for check in _meant(users, given.name):
            if given.value is not None:
                found[given.trace_id][check.check] = given.value
    return found


def _meant(checks: Sequence[Guarded], name: str) -> Iterator[Guarded]:
    return (check for check in checks if check.signal in (None, name))
