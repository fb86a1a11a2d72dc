"""Drift and suite tests: their contracts, and what they catch."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright.stats import DriftDetector, SuiteTest


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


@given(st.integers(0, 700), st.integers(0, 400))
def test_a_stored_detector_goes_on_exactly(before, after):
    rng = np.random.default_rng(before)
    xs = rng.beta(4, 1, before + after)
    whole = DriftDetector(level=0.85, low=0.0, high=1.0, false_alarm_every=60)
    whole.update(xs[:before])
    restored = DriftDetector.from_state(json.loads(json.dumps(whole.state())))
    for detector in (whole, restored):
        detector.update(xs[before:])
    assert whole.state() == restored.state()
    assert (whole.statistic, whole.alarms, whole.since_alarm, whole.changed_at) == (
        restored.statistic,
        restored.alarms,
        restored.since_alarm,
        restored.changed_at,
    )


def test_the_detector_tells_when_the_fall_began():
    rng = np.random.default_rng(4)
    errors = []
    for _ in range(40):
        detector = DriftDetector(level=0.85, low=0.0, high=1.0, false_alarm_every=2000)
        assert detector.changed_at is None
        detector.update((rng.random(600) < 0.9).astype(float))
        if detector.alarms:
            continue
        while not detector.update(float(rng.random() < 0.6)):
            assert detector.since_alarm == detector.n
        assert detector.since_alarm == 0
        errors.append(detector.changed_at - 600)
    assert len(errors) > 30
    assert abs(np.median(errors)) <= 5


def test_the_drift_statistic_less_n_is_a_martingale_at_the_level():
    """By enumeration of all short streams at exactly ``level``: E[R_n] = n as long as no alarm restarts it."""
    level, length = 0.75, 9
    total = 0.0
    for bits in np.array(np.meshgrid(*[[0.0, 1.0]] * length)).reshape(length, -1).T:
        detector = DriftDetector(level=level, low=0.0, high=1.0, false_alarm_every=1e9)
        detector.update(bits)
        total += np.prod(np.where(bits > 0, level, 1 - level)) * detector.statistic
    assert total == pytest.approx(length)


@pytest.mark.parametrize("wrong", [{}, {"law": 3}, {"n": None}])
def test_what_is_no_state_of_a_detector_is_refused(wrong):
    state = DriftDetector(level=0.8, low=0.0, high=1.0, false_alarm_every=100).state()
    with pytest.raises(ValueError, match="state of a DriftDetector"):
        DriftDetector.from_state({**state, **wrong} if wrong else {})


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
