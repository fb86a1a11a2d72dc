from __future__ import annotations

import pytest
from contracts import CONFIDENCE, check, scores
from hypothesis import given
from hypothesis import strategies as st

from shiftright.core.spec import Clause
from shiftright.decisions.clauses import (
    ClausePlan,
    attempt_alpha,
    increment,
    natural,
    plan_clause,
    resolvable,
    units_needed,
)
from shiftright.decisions.units import CaseScores, Units
from shiftright.decisions.words import needs

CLAUSES = [
    Clause("at_least", 0.7),
    Clause("at_most", 0.1),
    Clause("max_drop", 0.03),
    Clause("min_gain", 0.05),
    Clause("p95_at_most", 2.0),
    Clause("mean_at_most", 0.0004),
]


def plan(clause: Clause, *, clauses: int = 1, units: int = 10_000, each: float | None = 0.004) -> ClausePlan:
    enforced = (Clause("each_at_most", each),) if clause.kind == "mean_at_most" and each else ()
    return plan_clause(
        check("right", clause, *enforced), clause, confidence=CONFIDENCE, clauses=clauses, units=units
    )


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda c: c.kind)
@given(value=st.floats(0, 1), other=st.floats(0, 1))
def test_increments_stay_on_their_scale(clause: Clause, value: float, other: float) -> None:
    made = plan(clause)
    assert made.low <= made.bad < made.good <= made.high
    assert made.low <= increment(made, scores("c", value, other)) <= made.high


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda c: c.kind)
def test_a_failed_measurement_is_the_worst_for_the_candidate(clause: Clause) -> None:
    made = plan(clause)
    assert increment(made, scores("c", None, 1.0)) == made.low


@pytest.mark.parametrize("kind", ["max_drop", "min_gain"])
def test_a_failed_measurement_of_the_baseline_counts_against_the_candidate(kind: str) -> None:
    made = plan(Clause(kind, 0.03))  # type: ignore[arg-type]
    failed = CaseScores("c", {"right": (1.0,)}, {"right": (None,)})
    assert increment(made, failed) == -1.0


def test_repeats_are_averaged_within_a_case() -> None:
    made = plan(Clause("max_drop", 0.03))
    case = CaseScores("c", {"right": (1.0, 0.0)}, {"right": (1.0, 1.0, 0.0, 0.0)})
    assert increment(made, case) == 0.0


def test_blocking_is_shared_among_clauses_and_shipping_is_not() -> None:
    made = plan(Clause("at_least", 0.7), clauses=4)
    assert (made.alpha, made.beta, made.red) == (0.05, 0.05, 0.0125)


def test_later_attempts_pay_for_being_later() -> None:
    assert attempt_alpha(0.05, 1) == 0.05
    assert attempt_alpha(0.05, 2) == pytest.approx(0.05 * 6 / 3.14159265**2 / 4)
    assert sum(attempt_alpha(0.05, j) for j in range(1, 10_000)) < 1.4 * 0.05


def test_the_comfortable_level_is_midway_to_the_baseline_and_two_points_off() -> None:
    def good(level: float | None) -> float:
        clause = Clause("at_least", 0.7)
        return plan_clause(
            check("right", clause), clause, confidence=CONFIDENCE, clauses=1, units=100, baseline_level=level
        ).good

    assert good(0.9) == pytest.approx(0.8)
    assert good(0.71) == pytest.approx(0.72)
    assert good(None) == pytest.approx(0.72)


def test_natural_units() -> None:
    assert natural(plan(Clause("mean_at_most", 0.0004)), -0.1) == pytest.approx(0.0004)
    assert natural(plan(Clause("at_most", 0.1)), 0.95) == pytest.approx(0.05)
    assert natural(plan(Clause("max_drop", 0.03)), -0.02) == -0.02


def test_resolution_improves_with_cases_and_meets_the_need() -> None:
    made = plan(Clause("max_drop", 0.03))
    seen = [resolvable(made, Units(n, n)) for n in (50, 200, 1000, 5000)]
    assert seen == sorted(seen, reverse=True)
    needed = units_needed(made)
    assert resolvable(made, Units(needed, needed)) <= made.gap * 1.001


@pytest.mark.parametrize(
    ("clause", "n", "said"),
    [
        (Clause("max_drop", 0.03), 1, "your 1 case is too few to tell anything"),
        (Clause("max_drop", 0.03), 2, "your 2 cases are too few to tell anything"),
        (Clause("max_drop", 0.03), 300, "your 300 cases resolve"),
    ],
)
def test_what_is_needed_is_said_in_the_right_number(clause: Clause, n: int, said: str) -> None:
    assert needs(plan(clause), Units(n, n)).startswith(said)
