from __future__ import annotations

import pytest
from contracts import CONFIDENCE, check
from hypothesis import given
from hypothesis import strategies as st

from shiftright.core.spec import Clause
from shiftright.decisions import words
from shiftright.decisions.clauses import plan_clause
from shiftright.decisions.units import Units
from shiftright.evals.outlook import sentence

CLAUSES = [
    Clause("at_least", 0.7),
    Clause("at_most", 0.1),
    Clause("max_drop", 0.03),
    Clause("min_gain", 0.05),
    Clause("p95_at_most", 2.0),
    Clause("mean_at_most", 0.0004),
]


@st.composite
def units(draw: st.DrawFn) -> Units:
    n = draw(st.integers(0, 3) | st.integers(1, 10_000))
    return Units(n, n * draw(st.integers(1, 9)), draw(st.floats(0.05, 1.0)))


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.kind)
@given(
    seen=units(),
    harm_at=st.none() | units(),
    decision=st.sampled_from(["ship", "block", "inconclusive", None]),
    regressed=st.booleans(),
    limit=st.booleans(),
    variance=st.none() | st.floats(0.0, 1.0),
    failed=st.lists(st.sampled_from(["c1", "c2"]), max_size=5),
)
def test_no_template_is_left_in_a_sentence(
    clause: Clause,
    seen: Units,
    harm_at: Units | None,
    decision: str | None,
    regressed: bool,
    limit: bool,
    variance: float | None,
    failed: list[str],
) -> None:
    enforced = (Clause("each_at_most", 0.004),) if clause.kind == "mean_at_most" and limit else ()
    made = check("right", clause, *enforced)
    plan = plan_clause(made, clause, confidence=CONFIDENCE, clauses=2, units=max(seen.n, 1))
    said = [
        words.reason(
            plan, decision=decision, seen=seen, regressed=regressed, harm_at=harm_at, variance=variance
        ),
        words.invariant(failed, seen),
        words.target(made, clause),
        sentence(plan, seen),
    ]
    for text in said:
        assert text
        assert not set("{}") & set(text)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Units(1, 1), "1 case"),
        (Units(37, 37), "37 cases"),
        (Units(37, 1_185), "37 groups (1,185 cases)"),
        (Units(1, 5), "1 group (5 cases)"),
    ],
)
def test_groups_are_counted_as_groups(seen: Units, said: str) -> None:
    assert words.counted(seen) == said


def test_one_case_is_singular() -> None:
    plan = plan_clause(check("right", CLAUSES[2]), CLAUSES[2], confidence=CONFIDENCE, clauses=1, units=1)
    assert words.needs(plan, Units(1, 1)).startswith("your 1 case is too few to tell anything")


def test_what_nobody_can_plan_for_is_not_counted_out() -> None:
    clause = Clause("max_drop", 1e-11)
    plan = plan_clause(check("right", clause), clause, confidence=CONFIDENCE, clauses=1, units=1500)
    said = words.needs(plan, Units(1500, 1500))
    assert said.endswith("; less than 0.1 points need more than 1,000,000, or widen the margin")


def test_too_few_cases_resolve_nothing() -> None:
    clause = Clause("at_least", 0.9)
    plan = plan_clause(check("right", clause), clause, confidence=CONFIDENCE, clauses=1, units=2)
    assert sentence(plan, Units(2, 2)).startswith("your 2 cases are too few to tell anything; ")
