"""Canary and assignment tests: contracts, exact martingales by enumeration, states, and what they catch."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright.stats import AssignmentTest, CanaryTest, plan_canary

UNITS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.9, 1.0]), st.booleans(), st.sampled_from([0.01, 0.05, 0.25, 0.5])),
    min_size=1,
    max_size=80,
)


def canary(**kwargs):
    return CanaryTest(**{"margin": 0.03, "rollback_if_worse_by": 0.05, "low": 0.0, "high": 1.0, **kwargs})


def traffic(rng, effect, size, ramp=(0.01, 0.05, 0.25), steps=(200, 600)):
    """Yes/no outcomes with a season, a trend and a ramp: pooled means would be misled."""
    at = np.arange(size)
    p = np.array(ramp)[np.searchsorted(steps, at, side="right")]
    base = 0.75 + 0.1 * np.sin(at / 150) + 0.05 * at / size
    arm = rng.random(size) < p
    return (rng.random(size) < base + effect * arm).astype(float), arm, p


def watched(test):
    return test.decision, test.n, test.e_promote, test.e_rollback, test.effect, test.interval(0.9)


def test_a_canary_promotes_what_is_better_and_rolls_back_what_is_worse():
    rng = np.random.default_rng(2)
    for effect, decision in ((0.08, "promote"), (-0.2, "rollback")):
        test = canary()
        y, arm, p = traffic(rng, effect, 20_000)
        assert test.update(y, canary=arm, probability=p) == test.decision == decision


def test_a_canary_with_no_cap_never_gives_up_and_with_one_does():
    rng = np.random.default_rng(3)
    y, arm, p = traffic(rng, -0.03, 800)
    assert canary().update(y, canary=arm, probability=p) is None
    capped = canary(cap=300)
    assert capped.update(y, canary=arm, probability=p) == "inconclusive"
    assert capped.n == 300


@given(UNITS, st.integers(1, 60), st.sampled_from([None, 25]))
def test_scalars_and_arrays_agree_exactly_and_decisions_absorb(units, repeat, cap):
    units = units * repeat
    whole, single = canary(cap=cap), canary(cap=cap)
    y, arm, p = map(np.array, zip(*units, strict=True))
    whole.update(y, canary=arm, probability=p)
    first = None
    for unit, taken, chance in units:
        answer = single.update(unit, canary=taken, probability=chance)
        first = first or answer
        assert answer == first
    assert watched(whole) == watched(single)
    assert whole.state() == single.state()
    if first:
        assert whole.update(1.0, canary=True, probability=0.5) == first
        assert watched(whole) == watched(single)


@given(UNITS, st.integers(1, 12), st.integers(0, 900))
def test_a_stored_canary_goes_on_exactly(units, repeat, at):
    units = units * repeat
    test = canary(alpha=1e-9)
    for unit, taken, chance in units[:at]:
        test.update(unit, canary=taken, probability=chance)
    restored = CanaryTest.from_state(json.loads(json.dumps(test.state())))
    assert watched(restored) == watched(test)
    for unit, taken, chance in units[at:]:
        test.update(unit, canary=taken, probability=chance)
        restored.update(unit, canary=taken, probability=chance)
    assert watched(restored) == watched(test)
    assert restored.state() == test.state()


def test_the_state_stays_small_and_keeps_the_decision():
    rng = np.random.default_rng(1)
    test = canary(margin=0.001, rollback_if_worse_by=0.002)
    test.update(rng.random(50_000), canary=rng.random(50_000) < 0.1, probability=0.1)
    assert test.decision is None
    assert len(json.dumps(test.state())) < 20_000
    test = canary()
    y, arm, p = traffic(rng, -0.4, 5000)
    test.update(y, canary=arm, probability=p)
    assert CanaryTest.from_state(test.state()).decision == test.decision == "rollback"


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(1e-12, 1 - 1e-12)), max_size=60))
def test_canary_evidence_is_finite_for_any_assignment_and_the_interval_is_never_empty(units):
    test = canary()
    assert test.interval() == (-1.0, 1.0)
    assert test.effect is None
    for y, arm, p in units:
        test.update(y, canary=arm, probability=p)
        assert np.isfinite([test.e_promote, test.e_rollback]).all()
        assert min(test.e_promote, test.e_rollback) >= 1.0
    left, right = test.interval()
    assert -1.0 <= left <= right <= 1.0
    if test.n:
        assert left <= test.effect <= right


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-2.0, 0.0)])
@pytest.mark.parametrize("rate", [0.1, 0.6, 1.0])
def test_evidence_is_a_supermartingale_by_enumeration(low, high, rate):
    """Effect exactly -margin, every stream of 5 units on a ramp: P(evidence ever reaches g) <= 1/g, for all g."""
    width = high - low
    margin, chances = 0.1 * width, (0.03, 0.03, 0.4, 0.9, 0.4)
    streams = np.array(np.meshgrid(*[range(4)] * 5)).reshape(5, -1).T
    peaks, weights = [], []
    for stream in streams:
        test = canary(
            margin=margin, rollback_if_worse_by=3 * margin, low=low, high=high, alpha=1e-9, beta=0.5
        )
        weight = 1.0
        for kind, p in zip(stream.tolist(), chances, strict=True):
            arm, good = kind >= 2, kind % 2 == 1
            passes = max(rate - 0.1, 0.0) if arm else max(rate, 0.1)
            weight *= (p if arm else 1 - p) * (passes if good else 1 - passes)
            if weight == 0.0:
                break
            test.update(high if good else low, canary=arm, probability=p)
        peaks.append((test.e_promote, test.e_rollback))
        weights.append(weight)
    evidence, weights = np.array(peaks), np.array(weights)
    assert weights.sum() == pytest.approx(1.0)
    for side in (0, 1):
        for goal in np.unique(evidence[:, side])[1:]:
            assert weights[evidence[:, side] >= goal].sum() <= 1.0 / goal + 1e-9


def rates(effect, score, runs=300, size=1500, seed=7):
    """Shares promoted and rolled back by unit ``size``, under drift and a ramp."""
    rng = np.random.default_rng(seed)
    answers = []
    for _ in range(runs):
        y, arm, p = traffic(rng, effect, size, ramp=(0.05, 0.25, 0.5), steps=(200, 400))
        if score == "continuous":
            y = np.clip(0.8 * y + 0.2 * rng.random(size) - 0.2 * effect * arm, 0.0, 1.0)
        test = canary(margin=0.08, rollback_if_worse_by=0.16)
        answers.append(test.update(y, canary=arm, probability=p))
    return answers.count("promote") / runs, answers.count("rollback") / runs


@pytest.mark.parametrize("score", ["binary", "continuous"])
def test_error_rates_under_drift_and_a_ramp(score):
    effect = -0.08 if score == "binary" else -0.08 / 0.6
    promoted, rolled_back = rates(effect, score)
    bound = 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert promoted <= bound
    assert rolled_back <= bound


def test_power_under_drift_and_a_ramp():
    assert rates(0.04, "binary", runs=60)[0] >= 0.8
    assert rates(-0.25, "binary", runs=60)[1] >= 0.9


def test_a_total_failure_is_rolled_back_within_a_few_canary_units():
    rng = np.random.default_rng(8)
    seen = []
    for _ in range(40):
        test = canary()
        while test.decision is None:
            arm = bool(rng.random() < 0.05)
            test.update(0.0 if arm else float(rng.random() < 0.9), canary=arm, probability=0.05)
            seen.append(arm)
        assert test.decision == "rollback"
    assert sum(seen) / 40 <= 6


def test_a_canary_that_breaks_after_a_good_start_is_rolled_back():
    rng = np.random.default_rng(9)
    for _ in range(10):
        test = canary(margin=0.02)
        arm = rng.random(7000) < 0.1
        y = (rng.random(7000) < np.where(arm & (np.arange(7000) >= 3000), 0.4, 0.9)).astype(float)
        if test.update(y[:3000], canary=arm[:3000], probability=0.1) is None:
            assert test.update(y[3000:], canary=arm[3000:], probability=0.1) == "rollback"
            assert test.n < 3600


def test_the_interval_covers_the_effect_at_every_look_and_closes_in():
    rng = np.random.default_rng(10)
    missed, widths = 0, []
    for _ in range(60):
        test = canary(alpha=1e-12)
        y, arm, p = traffic(rng, -0.05, 4000)
        for start in range(0, 4000, 500):
            part = slice(start, start + 500)
            test.update(y[part], canary=arm[part], probability=p[part])
            left, right = test.interval(0.9)
            missed += not left <= -0.05 <= right
            widths.append(right - left)
    assert missed <= 60 * (0.1 + 3 * np.sqrt(0.09 / 60))
    assert np.mean(widths[7::8]) < 0.6 * np.mean(widths[1::8])
    assert np.mean(widths[7::8]) < 0.2


@pytest.mark.parametrize(
    "wrong", [{"margin": 0.0}, {"rollback_if_worse_by": 0.03}, {"alpha": 2.0}, {"high": 0.0}, {"cap": 0}]
)
def test_wrong_canaries_are_refused(wrong):
    with pytest.raises(ValueError):
        canary(**wrong)


@pytest.mark.parametrize(
    ("y", "arm", "p"),
    [
        (1.5, True, 0.5),
        (float("nan"), True, 0.5),
        (1.0, True, 0.0),
        (1.0, True, 1.0),
        (1.0, True, float("nan")),
        (1.0, 2, 0.5),
        ([1.0, 0.0, 7.0], [True, False, True], 0.5),
        ([1.0, 0.0], [True, False], [0.5, 1.0]),
        ([1.0, 0.0], [True], 0.5),
        ([1.0, 0.0], True, 0.5),
        ([1.0, 0.0, 1.0], [True, False, True], [0.5, 0.5]),
        ([[1.0, 0.0]], [[True, False]], 0.5),
    ],
)
def test_wrong_units_are_refused_and_change_nothing(y, arm, p):
    test = canary()
    test.update(1.0, canary=True, probability=0.5)
    before = test.state()
    with pytest.raises(ValueError):
        test.update(y, canary=arm, probability=p)
    assert test.state() == before


@pytest.mark.parametrize("wrong", [{}, {"law": 3}, {"pending": [[1.0]]}, {"evidence": [1.0]}])
def test_what_is_no_state_of_a_canary_is_refused(wrong):
    with pytest.raises(ValueError):
        CanaryTest.from_state({**canary().state(), **wrong} if wrong else {})


def test_the_planned_size_falls_as_the_arms_even_out():
    test = canary()
    test.update([1.0, 1.0, 1.0, 1.0, 0.0] * 30, canary=[True, False] * 75, probability=0.5)
    assert test.planned_size(0.01) > test.planned_size(0.1) > test.planned_size(0.5) > 1000


def test_assignment_alarms_on_a_mismatch_and_not_without():
    rng = np.random.default_rng(7)
    fair, unfair = AssignmentTest(), AssignmentTest()
    p = np.where(np.arange(6000) < 2000, 0.1, 0.4)
    assert not fair.update(rng.random(6000) < p, p)
    assert unfair.update(rng.random(6000) < 0.8 * p, p)
    assert unfair.p_value <= 0.001 < fair.p_value
    assert unfair.n < 6000
    assert unfair.e_value == pytest.approx(1 / unfair.p_value)
    assert fair.n == 6000
    assert fair.expected == pytest.approx(1800)
    assert abs(fair.canaries - 1800) < 150


@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 0.999)), max_size=60), st.integers(0, 60))
def test_assignment_scalars_arrays_and_states_agree_exactly(units, at):
    whole, single = AssignmentTest(alpha=0.05), AssignmentTest(alpha=0.05)
    if units:
        whole.update(*zip(*units, strict=True))
    for k, (arm, p) in enumerate(units):
        if k == at:
            single = AssignmentTest.from_state(json.loads(json.dumps(single.state())))
        alarm = single.alarm
        assert single.update(arm, p) >= alarm
    assert whole.state() == single.state()


def test_the_assignment_evidence_is_a_martingale_by_enumeration():
    """Every stream of 10 units: P(the largest evidence reaches g) <= 1/g, and its mean at a fixed time is 1."""
    chances = (0.03, 0.03, 0.5, 0.25, 0.25, 0.5, 0.9, 0.1, 0.1, 0.25)
    evidence, weights = [], []
    for stream in np.array(np.meshgrid(*[[False, True]] * 10)).reshape(10, -1).T:
        test = AssignmentTest(alpha=1e-12)
        test.update(stream, chances)
        evidence.append(test.e_value)
        weights.append(np.prod(np.where(stream, chances, 1 - np.array(chances))))
    evidence, weights = np.array(evidence), np.array(weights)
    for goal in np.unique(evidence)[1:]:
        assert weights[evidence >= goal].sum() <= 1 / goal + 1e-9
    one = [AssignmentTest() for _ in range(2)]
    for test, arm in zip(one, (True, False), strict=True):
        test.update(arm, 0.2)
    means = [sum(map(np.exp, test.state()["logs"])) / 14 for test in one]
    assert 0.2 * means[0] + 0.8 * means[1] == pytest.approx(1.0)


def test_wrong_assignments_are_refused_and_change_nothing():
    test = AssignmentTest()
    test.update(True, 0.5)
    before = test.state()
    for arm, p in ((True, 1.0), (3, 0.5), ([True, False], [0.5, 0.0]), ([True], [0.5, 0.5])):
        with pytest.raises(ValueError):
            test.update(arm, p)
    assert test.state() == before
    for state in ({}, {**before, "logs": [0.0]}, {**before, "n": None}):
        with pytest.raises(ValueError, match="state of an AssignmentTest"):
            AssignmentTest.from_state(state)


PLAN = {
    "steps": [(0.01, 1), (0.05, 2), (0.25, 1)],
    "give_up": 14,
    "margin": 0.05,
    "rollback_if_worse_by": 0.1,
    "low": 0.0,
    "high": 1.0,
}


def test_a_plan_says_in_how_many_days_and_how_much_traffic_it_takes():
    outcomes = [1.0] * 90 + [0.0] * 10
    much = plan_canary(outcomes, units_per_day=2000, **PLAN)
    assert 1 < much.promote_days < 6
    assert (much.promoted, much.rolled_back, much.enough) == (1.0, 1.0, True)
    little = plan_canary(outcomes, units_per_day=20, **PLAN)
    assert little.promote_days == np.inf
    assert not little.enough
    assert little.promote_needs == much.promote_needs
    enough = plan_canary(outcomes, units_per_day=1.05 * little.promote_needs, **PLAN)
    assert 0.78 <= enough.promoted <= 0.9
    assert plan_canary(outcomes, units_per_day=20, **PLAN) == little


def test_a_plan_agrees_with_the_test_itself():
    rng = np.random.default_rng(5)
    expected = plan_canary([1.0] * 90 + [0.0] * 10, units_per_day=1000, **PLAN)
    days = []
    for _ in range(40):
        p = np.repeat([0.01, 0.05, 0.25], [1000, 2000, 11_000])
        arm = rng.random(14_000) < p
        test = canary(margin=0.05, rollback_if_worse_by=0.1)
        test.update((rng.random(14_000) < 0.9).astype(float), canary=arm, probability=p)
        days.append(test.n / 1000)
    assert np.median(days) == pytest.approx(expected.promote_days, rel=0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcomes": []},
        {"outcomes": [1.5]},
        {"outcomes": [0.05] * 9},
        {"steps": []},
        {"steps": [(1.0, 2)]},
        {"steps": [(0.5, 0)]},
        {"units_per_day": 0},
        {"give_up": -1},
        {"margin": 0.2},
    ],
)
def test_wrong_plans_are_refused(wrong):
    with pytest.raises(ValueError):
        plan_canary(**{"outcomes": [0.0, 1.0], "units_per_day": 100, **PLAN, **wrong})
