"""What a decision fixes at its first call: boundaries, caps, planning sample, K_b, the seed of its order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isclose

import msgspec

from shiftright.core.case import Case
from shiftright.core.spec import Spec
from shiftright.decisions.clauses import ClausePlan, increment, plan_clause, tested
from shiftright.decisions.contract import Estimand, Frozen
from shiftright.decisions.ledger import Decision
from shiftright.decisions.order import unit_sizes
from shiftright.decisions.units import CaseScores
from shiftright.store.rows import ConsumedRow

MOST_BASELINE_REPEATS = 5
SMALLEST_PLANNING_SAMPLE = 50


def freeze(
    spec: Spec,
    cases: Sequence[Case],
    *,
    attempt: int,
    seed: int,
    estimand: Estimand = "population",
    reruns: Sequence[CaseScores] = (),
    baseline_repeats: int = 1,
    repeats: int = 1,
    first_repeat: int = 0,
) -> Frozen:
    """The frozen part of a new decision.

    ``reruns`` are dev cases whose baseline ran twice (the second run as ``candidate``): at least 50 make a planning
    sample, of other cases than those decided on. Without one the plan assumes a variance and says so.
    """
    sizes = unit_sizes(cases, grouped=estimand == "population")
    clauses = plans(spec, len(sizes), attempt=attempt, reruns=reruns)
    return Frozen(
        clauses=tuple(clauses),
        seed=seed,
        estimand=estimand,
        largest_unit=max(sizes, default=1),
        mean_unit=sum(sizes) / len(sizes) if sizes else 1.0,
        suite=len(sizes) if estimand == "suite" else 0,
        units=len(sizes),
        repeats=repeats,
        first_repeat=first_repeat,
        baseline_repeats=min(baseline_repeats, MOST_BASELINE_REPEATS),
    )


# what a clause's error rates rest on; the rest of its plan shapes bets and caps
_STATED = ("check", "kind", "bound", "low", "bad", "good", "high", "alpha", "beta", "red", "unit")


def differs(spec: Spec, decision: Decision) -> str | None:
    """Where the test of a decision begun before is not the one that its contract and attempt ask for, in words."""
    frozen, row = decision.frozen, decision.row
    pairs = [(check, clause) for check in spec.checks for clause in tested(check)]
    if frozen.estimand != row.estimand or len(frozen.clauses) != len(pairs):
        return "it tests something else than its contract"
    for (check, clause), found in zip(pairs, frozen.clauses, strict=True):
        wanted = plan_clause(
            check,
            clause,
            confidence=spec.confidence,
            clauses=len(pairs),
            attempt=row.attempt,
            units=max(frozen.units, 1),
            baseline_level=_level(found),
            planning=found.planning,
        )
        for name in _STATED:
            is_, should = getattr(found, name), getattr(wanted, name)
            same = is_ == should if isinstance(should, str) else isclose(is_, should, rel_tol=1e-9)
            if not same:
                return f"{check.name} is tested with {name} {is_}, the contract asks for {should}"
    sizes = _group_sizes(decision.consumed)
    if frozen.estimand == "population" and max(sizes, default=1) > frozen.largest_unit:
        return f"it used a group of {max(sizes)} cases, its test is made for {frozen.largest_unit}"
    return None


def _group_sizes(consumed: Sequence[ConsumedRow]) -> list[int]:
    ends = [end for end, row in enumerate(consumed, 1) if row.closes]
    return [end - start for start, end in pairwise([0, *ends])]


def plans(spec: Spec, units: int, *, attempt: int = 1, reruns: Sequence[CaseScores] = ()) -> list[ClausePlan]:
    """One plan per tested clause."""
    pairs = [(check, clause) for check in spec.checks for clause in tested(check)]
    made = []
    for check, clause in pairs:
        rough = plan_clause(check, clause, confidence=spec.confidence, clauses=len(pairs), units=units)
        sample, level = _planning(rough, reruns)
        made.append(
            plan_clause(
                check,
                clause,
                confidence=spec.confidence,
                clauses=len(pairs),
                attempt=attempt,
                units=units,
                baseline_level=level,
                planning=sample,
            )
        )
    return made


def _planning(
    plan: ClausePlan, reruns: Sequence[CaseScores]
) -> tuple[tuple[float, ...] | None, float | None]:
    """Increments of the baseline against itself, and the baseline's level, for one clause."""
    measured = [scores for scores in reruns if plan.check in scores.candidate]
    if len(measured) < SMALLEST_PLANNING_SAMPLE:
        return None, None
    sample = tuple(increment(plan, scores) for scores in measured)
    return sample, _level(msgspec.structs.replace(plan, planning=sample))


def _level(plan: ClausePlan) -> float | None:
    """The baseline's mean score on the planning sample, where the clause is about a level."""
    if not plan.planning or plan.kind not in ("at_least", "at_most"):
        return None
    mean = sum(plan.planning) / len(plan.planning)
    return mean if plan.kind == "at_least" else 1.0 - mean
