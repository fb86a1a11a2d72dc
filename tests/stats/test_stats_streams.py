"""Canary, assignment, drift and suite tests: their contracts, and what they catch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright.stats import AssignmentTest, CanaryTest, DriftDetector, SuiteTest
from shiftright.stats._wealth import PRIOR


def canary(**kwargs):
    return CanaryTest(**{"margin": 0.03, "rollback_if_worse_by": 0.05, "low": 0.0, "high": 1.0, **kwargs})


def run_canary(test, effect, rng, units, ramp):
    for i in range(units):
        p = ramp(i)
        arm = rng.random() < p
        rate = (
            0.7 + 0.2 * np.sin(i / 200) + (effect if arm else 0.0)
        )  # a season: pooled means would be misled
        if test.update(float(rng.random() < rate), canary=bool(arm), probability=p):
            break
    return test.decision


def ramp(i):
    return 0.05 if i < 200 else 0.5


def test_a_canary_promotes_what_is_better_and_rolls_back_what_is_worse():
    rng = np.random.default_rng(2)
    assert run_canary(canary(), 0.08, rng, 20_000, ramp) == "promote"
    assert run_canary(canary(), -0.2, rng, 20_000, ramp) == "rollback"


def test_a_canary_with_no_cap_never_gives_up_and_with_one_does():
    rng = np.random.default_rng(3)
    assert run_canary(canary(), -0.03, rng, 800, ramp) is None
    capped = canary(cap=300)
    assert run_canary(capped, -0.03, rng, 800, ramp) == "inconclusive"
    assert capped.n == 300
    before = capped.e_promote, capped.e_rollback
    assert capped.update(1.0, canary=True, probability=0.5) == "inconclusive"
    assert (capped.n, capped.e_promote, capped.e_rollback) == (300, *before)


def test_canary_error_rates():
    rng = np.random.default_rng(5)
    runs, promoted, rolled = 60, 0, 0
    for _ in range(runs):
        decision = run_canary(canary(margin=0.1, rollback_if_worse_by=0.2), -0.1, rng, 1200, ramp)
        promoted += decision == "promote"
        rolled += decision == "rollback"
    bound = 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)
    assert promoted / runs <= bound
    assert rolled / runs <= bound


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.floats(0.001, 0.999)), max_size=60))
def test_canary_evidence_is_finite_for_any_assignment_and_the_interval_is_never_empty(units):
    test = canary()
    assert test.interval() == (-1.0, 1.0)
    for y, arm, p in units:
        test.update(y, canary=arm, probability=p)
        assert np.isfinite([test.e_promote, test.e_rollback]).all()
    left, right = test.interval()
    assert -1.0 <= left <= right <= 1.0


def test_the_expected_factor_of_a_unit_is_at_most_one_by_enumeration():
    """Effect exactly -margin: over arm and outcome, evidence must not grow on average, at any ramp step."""
    for p in (0.02, 0.3, 0.97):
        for side in ("e_promote", "e_rollback"):
            total = 0.0
            for arm, weight in ((True, p), (False, 1 - p)):
                for y, chance in ((1.0, 0.5 - 0.03 * arm), (0.0, 0.5 + 0.03 * arm)):
                    test = canary()
                    for i in range(30):
                        test.update(float(i % 2), canary=i % 3 == 0, probability=0.5)
                    wealth = test._promote if side == "e_promote" else test._rollback
                    kelly = sum(c * k for c, k in zip(PRIOR, wealth.state[:3], strict=True))
                    test.update(y, canary=arm, probability=p)
                    grown = sum(c * k for c, k in zip(PRIOR, wealth.state[:3], strict=True))
                    total += weight * chance * grown / kelly
            assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    "wrong", [{"margin": 0.0}, {"rollback_if_worse_by": 0.03}, {"alpha": 2.0}, {"high": 0.0}, {"cap": 0}]
)
def test_wrong_canaries_are_refused(wrong):
    with pytest.raises(ValueError):
        canary(**wrong)


@pytest.mark.parametrize(
    ("y", "p"), [(1.5, 0.5), (float("nan"), 0.5), (1.0, 0.0), (1.0, 1.0), (1.0, float("nan"))]
)
def test_wrong_units_are_refused_and_change_nothing(y, p):
    test = canary()
    with pytest.raises(ValueError):
        test.update(y, canary=True, probability=p)
    assert test.n == 0
    assert test.interval() == (-1.0, 1.0)


def test_the_planned_size_falls_as_the_arms_even_out():
    test = canary()
    for i in range(200):
        test.update(float(i % 5 > 0), canary=i % 2 == 0, probability=0.5)
        if test.decision:
            break
    assert test.planned_size(0.01) > test.planned_size(0.1) > test.planned_size(0.5) > 1000


def test_assignment_alarms_on_a_mismatch_and_not_without():
    rng = np.random.default_rng(7)
    fair, unfair = AssignmentTest(), AssignmentTest()
    for i in range(6000):
        p = 0.1 if i < 2000 else 0.4
        fair.update(bool(rng.random() < p), p)
        unfair.update(bool(rng.random() < 0.8 * p), p)
    assert not fair.alarm
    assert unfair.alarm
    assert unfair.p_value <= 0.001 < fair.p_value


def test_the_assignment_evidence_is_a_martingale():
    for p in (0.03, 0.5):
        yes, no = AssignmentTest(), AssignmentTest()
        yes.update(True, p)
        no.update(False, p)
        likelihoods = [sum(np.exp(test._logs)) / len(test._logs) for test in (yes, no)]
        assert p * likelihoods[0] + (1 - p) * likelihoods[1] == pytest.approx(1.0)


def test_drift_is_caught_soon_and_false_alarms_are_rare():
    rng = np.random.default_rng(1)
    delays, gaps = [], []
    for _ in range(20):
        detector = DriftDetector(level=0.85, low=0.0, high=1.0, false_alarm_every=500)
        detector.update((rng.random(100) < 0.88).astype(float))
        n = detector.n
        while not detector.update(float(rng.random() < 0.65)):
            pass
        delays.append(detector.n - n)
        detector = DriftDetector(level=0.85, low=0.0, high=1.0, false_alarm_every=100)
        while not detector.update(float(rng.random() < 0.85)) and detector.n < 2000:
            pass
        gaps.append(detector.n)
    assert np.mean(delays) < 80
    assert np.mean(gaps) >= 100


def test_drift_restarts_after_an_alarm_and_arrays_equal_scalars():
    xs = (np.random.default_rng(1).random(400) < 0.5).astype(float)
    one, other = (DriftDetector(level=0.85, low=0.0, high=1.0, false_alarm_every=300) for _ in range(2))
    assert one.update(xs)
    seen = [other.update(x) for x in xs.tolist()]
    assert one.alarms == other.alarms == sum(seen) > 1
    assert one.statistic == other.statistic
    last = len(seen) - 1 - seen[::-1].index(True)
    replay = DriftDetector(level=0.85, low=0.0, high=1.0, false_alarm_every=300)
    replay.update(xs[: last + 1])
    assert replay.statistic == 0.0


@given(st.lists(st.floats(0, 1), max_size=80), st.sampled_from([0.001, 0.5, 1.0]))
def test_drift_statistic_is_finite_and_bounded_by_its_threshold(xs, level):
    detector = DriftDetector(level=level, low=0.0, high=1.0, false_alarm_every=50)
    for x in xs:
        detector.update(x)
        assert 0.0 <= detector.statistic < 50


def test_wrong_drift_inputs_are_refused():
    for wrong in ({"level": 0.0}, {"level": 1.1}, {"level": float("nan")}, {"false_alarm_every": 1}):
        with pytest.raises(ValueError):
            DriftDetector(**{"level": 0.8, "low": 0.0, "high": 1.0, "false_alarm_every": 100, **wrong})
    detector = DriftDetector(level=0.8, low=0.0, high=1.0, false_alarm_every=100)
    with pytest.raises(ValueError):
        detector.update([0.5, float("nan")])
    assert detector.n == 0


@given(
    st.lists(st.sampled_from([-1.0, -0.4, 0.0, 0.6, 1.0]), min_size=1, max_size=60),
    st.booleans(),
    st.randoms(),
)
def test_a_suite_always_decides_by_its_last_case_and_then_knows(xs, with_control, random):
    control = [random.random() for _ in xs] if with_control else None
    a, b = (SuiteTest(cases=len(xs), bad=-0.1, good=0.1, low=-1, high=1, control=control) for _ in range(2))
    assert a.interval() == (-1.0, 1.0)
    a.update(np.array(xs))
    for x in xs:
        b.update(x)
    assert a.decision in ("ship", "block")
    assert (a.decision, a.n, a.e_ship, a.e_block) == (b.decision, b.n, b.e_ship, b.e_block)
    assert np.isfinite([a.e_ship, a.e_block, a.e_regression]).all()
    left, right = a.interval()
    assert left <= right
    if a.n == len(xs):
        assert left == pytest.approx(np.mean(xs))
        assert right == pytest.approx(np.mean(xs))


def test_a_suite_refuses_a_control_of_another_length():
    with pytest.raises(ValueError, match="control"):
        SuiteTest(cases=5, bad=-0.1, good=0.0, low=-1, high=1, control=[1.0])
