from __future__ import annotations

import random

import pytest
from contracts import case, check, paired, scores, spec
from hypothesis import given, settings
from hypothesis import strategies as st

from shiftright.core.spec import Check, Clause, Spec
from shiftright.decisions.contract import ContractTest, Frozen
from shiftright.decisions.order import unit_sizes
from shiftright.decisions.units import CaseScores
from shiftright.evals.freeze import freeze

DROP = check("right", Clause("max_drop", 0.10))


def contract(made: Spec, cases: int = 2_000, **keys: object) -> ContractTest:
    frozen = freeze(made, [case(f"c{i}") for i in range(cases)], attempt=1, seed=0, **keys)  # type: ignore[arg-type]
    return ContractTest(made, frozen)


def feed(test: ContractTest, cases: list[CaseScores]) -> ContractTest:
    for one in cases:
        if test.settled:
            break
        test.add([one])
    return test


def test_an_equal_candidate_passes_and_may_merge() -> None:
    verdict = feed(contract(spec(DROP)), paired([(1.0, 1.0)] * 500)).verdict()
    assert (verdict.verdict, verdict.merge) == ("pass", "yes")
    assert verdict.checks[0].e_ship >= verdict.checks[0].ship_at  # type: ignore[operator]


def test_a_clear_loss_fails_and_may_not_merge() -> None:
    verdict = feed(contract(spec(DROP)), paired([(0.0, 1.0), (1.0, 1.0)] * 200)).verdict()
    assert (verdict.verdict, verdict.merge) == ("fail", "no")
    assert "a loss is proven" in verdict.reasons[0]


def test_a_few_cases_are_never_refused_and_told_what_they_see() -> None:
    verdict = feed(contract(spec(DROP), 20), paired([(1.0, 1.0)] * 20)).verdict()
    assert (verdict.verdict, verdict.merge) == ("inconclusive", "yes")
    assert "your 20 cases resolve" in verdict.checks[0].reason


def test_every_clause_has_to_ship() -> None:
    both = spec(DROP, check("polite", Clause("at_least", 0.9)))
    test = contract(both)
    for i in range(400):
        test.add([CaseScores(f"c{i}", {"right": (1.0,), "polite": (float(i % 10 != 0),)}, {"right": (1.0,)})])
    verdict = test.verdict()
    assert [row.verdict for row in verdict.checks] == ["pass", "inconclusive"]
    assert verdict.verdict == "inconclusive"


def test_a_must_case_fails_both_answers_at_once() -> None:
    test = contract(spec(DROP))
    test.add_must("m1", False)
    assert test.settled
    verdict = test.verdict()
    assert (verdict.verdict, verdict.merge) == ("fail", "no")
    assert "m1" in verdict.reasons[0]


def test_an_invariant_breaks_on_one_case_and_has_no_e_values() -> None:
    test = contract(spec(check("json", Clause("never_fails", 0.0), score="schema")))
    test.add([scores("c1", 1.0, check="json"), scores("c2", 0.0, check="json")])
    row = test.verdict().checks[0]
    assert (row.verdict, row.e_ship, row.e_block, row.ship_at) == ("fail", None, None, None)
    assert test.settled
    assert test.verdict().merge == "no"


def test_an_unmeasured_invariant_does_not_hold() -> None:
    test = contract(spec(check("json", Clause("never_fails", 0.0), score="schema")))
    test.add([scores("c1", None, check="json")])
    assert test.verdict().verdict == "fail"


def test_failing_to_gain_is_not_harm() -> None:
    verdict = feed(
        contract(spec(check("right", Clause("min_gain", 0.10)))), paired([(1.0, 1.0)] * 900)
    ).verdict()
    assert (verdict.verdict, verdict.merge) == ("fail", "yes")


def test_a_mediocre_level_that_was_there_before_is_not_harm() -> None:
    bound = check("right", Clause("at_least", 0.7, comfortable=0.85))
    values = random.Random(1)
    cases = [scores(f"c{i}", float(values.random() < 0.74)) for i in range(2_000)]
    verdict = feed(contract(spec(bound)), cases).verdict()
    assert verdict.merge == "yes"


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 1.0])), max_size=120),
    st.data(),
)
@settings(deadline=None)
def test_the_verdict_does_not_depend_on_how_cases_are_batched(
    values: list[tuple[float, float]], data: st.DataObject
) -> None:
    cases = paired(values)
    both = spec(DROP, check("right", Clause("at_least", 0.7)))
    one, many = contract(both), contract(both)
    one.add(cases)
    rest = list(cases)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        many.add(rest[:size])
        rest = rest[size:]
    assert one.verdict() == many.verdict()
    assert one.settled == many.settled


def test_when_it_is_settled_does_not_depend_on_how_cases_are_batched() -> None:
    """After a block the run goes on for as many cases again, counted from the block and not from its batch."""
    gain = spec(check("right", Clause("min_gain", 0.10)))
    cases = paired([(1.0, 1.0)] * 900)
    single = feed(contract(gain), cases)
    batched = contract(gain)
    batched.add(cases[: single.cases])
    assert (single.verdict().verdict, single.verdict().merge) == ("fail", "yes")
    assert batched.settled


def test_replay_with_a_raised_cap_equals_the_run_it_replays() -> None:
    made = spec(DROP)
    small = [case(f"c{i}") for i in range(30)]
    frozen = freeze(made, small, attempt=1, seed=0)
    cases = paired([(1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] * 40)
    first = ContractTest(made, frozen)
    first.add(cases[:30])
    assert first.verdict().verdict == "inconclusive"
    for clause in first.clauses:
        clause.raise_cap(160)
    first.add(cases[30:])
    again = ContractTest(made, frozen)
    again.replay(cases, [(30, 160)])
    assert again.verdict() == first.verdict()
    assert again.clauses[0].release.n > 30


@pytest.mark.parametrize("size", [2, 5])
def test_groups_are_one_unit(size: int) -> None:
    """Five copies of the same answer are one piece of evidence."""
    made = spec(check("right", Clause("at_least", 0.7)))
    cases = [case(f"c{i}-{j}", group=f"g{i}") for i in range(60) for j in range(size)]
    assert unit_sizes(cases) == [size] * 60
    frozen = freeze(made, cases, attempt=1, seed=0)
    assert (frozen.largest_unit, frozen.mean_unit, frozen.units) == (size, float(size), 60)
    test = ContractTest(made, frozen)
    values = random.Random(3)
    for i in range(60):
        right = float(values.random() < 0.9)
        test.add(
            [
                CaseScores(f"c{i}-{j}", {"right": (right,)}, unit=f"g{i}", closes=j == size - 1)
                for j in range(size)
            ]
        )
    row = test.verdict().checks[0]
    single = ContractTest(made, freeze(made, [case(f"c{i}") for i in range(60)], attempt=1, seed=0))
    values = random.Random(3)
    single.add([scores(f"c{i}", float(values.random() < 0.9)) for i in range(60)])
    assert row.n <= 60
    assert row.estimate == pytest.approx(single.verdict().checks[0].estimate, abs=0.05)
    assert row.e_ship == pytest.approx(single.verdict().checks[0].e_ship, rel=0.5)


def test_a_mean_without_a_limit_can_be_disproven_but_not_proven() -> None:
    cost = check("cost", Clause("mean_at_most", 0.001), score="cost")
    cheap = contract(spec(cost), 200)
    cheap.add([scores(f"c{i}", 0.0001, check="cost") for i in range(200)])
    assert cheap.verdict().verdict == "inconclusive"
    assert "each_at_most" in cheap.verdict().checks[0].reason
    dear = feed(contract(spec(cost), 200), [scores(f"c{i}", 0.01, check="cost") for i in range(200)])
    assert dear.verdict().verdict == "fail"


def test_a_limited_mean_ships() -> None:
    cost = Check("cost", "cost", clauses=(Clause("mean_at_most", 0.001), Clause("each_at_most", 0.004)))
    test = feed(contract(spec(cost), 500), [scores(f"c{i}", 0.0003, check="cost") for i in range(500)])
    row = test.verdict().checks[0]
    assert row.verdict == "pass"
    assert row.estimate == pytest.approx(0.0003)


def test_suite_mode_is_decided_by_the_last_case() -> None:
    made = spec(DROP)
    frozen: Frozen = freeze(made, [case(f"c{i}") for i in range(40)], attempt=1, seed=0, estimand="suite")
    test = ContractTest(made, frozen)
    test.add(paired([(1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] * 10))
    assert test.verdict().verdict in ("pass", "fail")
