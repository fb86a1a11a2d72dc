"""How the evidence grew, case by case: the decision's tests run again on what it used."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shiftright.core.spec import Spec
from shiftright.core.verdict import Verdict
from shiftright.decisions.contract import ContractTest, Frozen
from shiftright.decisions.units import CaseScores
from shiftright.evals.accounting import yardsticks
from shiftright.store.rows import ConsumedRow, DecisionRow

MOST_POINTS = 120


class Trajectory(msgspec.Struct, frozen=True):
    """One clause. ``points`` are (cases used, evidence for shipping, evidence for blocking), the thresholds ``ship_at``
    and ``block_at``. Evidence is an e-value: 1 says nothing either way."""

    check: str
    clause: str
    ship_at: float
    block_at: float
    points: tuple[tuple[int, float, float], ...]


class Retraced(msgspec.Struct, frozen=True):
    """``fixed_sample`` and ``limit`` are the yardsticks of ``core.verdict.Calls``."""

    trajectories: tuple[Trajectory, ...] = ()
    fixed_sample: int | None = None
    limit: float | None = None


def retrace(decision: DecisionRow | None, consumed: Sequence[ConsumedRow], spec: Spec | None) -> Retraced:
    """Nothing where there was no decision, or where the contract is not there any more."""
    if decision is None or spec is None:
        return Retraced()
    if not consumed:
        return Retraced()
    try:
        frozen = msgspec.convert(decision.frozen, Frozen)
    except (
        msgspec.ValidationError
    ):  # recorded by another version: its rows and verdict are shown all the same
        return Retraced()
    names = {check.name for check in spec.checks}
    if any(plan.check not in names for plan in frozen.clauses):
        return Retraced()
    return _replayed(spec, frozen, consumed)


def standing(
    decision: DecisionRow, consumed: Sequence[ConsumedRow], spec: Spec, *, complete: bool
) -> Verdict | None:
    """The verdict as it stands on what was used; None where that cannot be said: nothing used, or another contract."""
    if not consumed or decision.parts.get("clauses") != spec.digest:
        return None
    frozen = msgspec.convert(decision.frozen, Frozen)
    contract = ContractTest(spec, frozen)
    contract.replay([CaseScores.of(row) for row in consumed], frozen.raises)
    return contract.verdict(complete=complete)


def _replayed(spec: Spec, frozen: Frozen, consumed: Sequence[ConsumedRow]) -> Retraced:
    contract = ContractTest(spec, frozen)
    scores = [CaseScores.of(row) for row in consumed]
    stride = max(1, -(-len(scores) // MOST_POINTS))
    points: list[list[tuple[int, float, float]]] = [[(0, 1.0, 1.0)] for _ in contract.clauses]
    raises = dict(frozen.raises)
    for start in range(0, len(scores), stride):
        chunk = scores[start : start + stride]
        for position, case in enumerate(chunk, start):
            if position in raises:
                for test in contract.clauses:
                    test.raise_cap(raises[position])
            contract.add([case])
        for test, line in zip(contract.clauses, points, strict=True):
            line.append((start + len(chunk), test.release.e_ship, test.release.e_block))
    fixed, limit = yardsticks(contract)
    return Retraced(
        tuple(
            Trajectory(test.plan.check, test.plan.kind, 1 / test.plan.alpha, 1 / test.plan.beta, tuple(line))
            for test, line in zip(contract.clauses, points, strict=True)
        ),
        fixed,
        limit,
    )
