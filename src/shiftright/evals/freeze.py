"""What a decision fixes at its first call: boundaries, caps, planning sample, K_b, the seed of its order."""

from __future__ import annotations

from collections.abc import Sequence

from shiftright.core.case import Case
from shiftright.core.spec import Spec
from shiftright.decisions.clauses import ClausePlan, increment, plan_clause, tested
from shiftright.decisions.contract import Estimand, Frozen
from shiftright.decisions.order import unit_sizes
from shiftright.decisions.units import CaseScores

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
    level = None
    if plan.kind in ("at_least", "at_most"):
        mean = sum(sample) / len(sample)
        level = mean if plan.kind == "at_least" else 1.0 - mean
    return sample, level
