"""BoundaryTest: what it promises about every stream of increments, whatever their law."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright.stats import BoundaryTest

STREAMS = st.lists(st.one_of(st.floats(-1, 1), st.sampled_from([-1.0, 0.0, 1.0])), max_size=160)
CAPS = st.one_of(st.none(), st.integers(1, 200))
PLANNING = st.one_of(st.none(), st.lists(st.floats(-1, 1), min_size=1, max_size=90))


def start(cap=120, planning=None, **kwargs):
    return BoundaryTest(
        **{"bad": -0.03, "good": 0.0, "low": -1.0, "high": 1.0, "cap": cap, "planning": planning, **kwargs}
    )


def state(test):
    return test.decision, test.n, test.e_ship, test.e_block, test.e_regression, test.interval(0.95)


@st.composite
def boundaries(draw):
    low, bad, good, high = sorted(draw(st.lists(st.integers(-40, 40), min_size=4, max_size=4)))
    if bad == good:
        good += 1
    return low / 20, bad / 20, good / 20, max(high, good) / 20


@given(STREAMS, CAPS, PLANNING, st.lists(st.integers(1, 40), max_size=20))
def test_array_scalar_and_batches_agree_exactly(xs, cap, planning, sizes):
    whole, single, batched = (start(cap, planning) for _ in range(3))
    whole.update(np.array(xs))
    for x in xs:
        single.update(x)
    left = np.array(xs)
    for size in sizes:
        batched.update(left[:size])
        left = left[size:]
    batched.update(left)
    assert state(whole) == state(single) == state(batched)


@given(STREAMS, STREAMS)
def test_a_decision_is_absorbing_and_n_counts_the_increments_used(xs, later):
    test = start(cap=100)
    assert test.update(np.array(xs)) is test.decision
    assert test.n == len(xs) or (test.decision is not None and test.n <= len(xs))
    if test.decision is not None:
        before = state(test)
        assert test.update(np.array(later)) == before[0]
        assert state(test) == before


@given(STREAMS, st.integers(0, 30), st.sampled_from([np.nan, 1.1, -1.000001, np.inf]))
def test_a_bad_array_changes_nothing(xs, at, bad_value):
    test, twin = start(), start()
    test.update(np.array(xs[:40]))
    twin.update(np.array(xs[:40]))
    with pytest.raises(ValueError, match="increment"):
        test.update(np.array([*xs[:at], bad_value, 0.0]))
    with pytest.raises(ValueError, match="increment"):
        test.update(bad_value)
    test.update(np.array(xs[40:]))
    twin.update(np.array(xs[40:]))
    assert state(test) == state(twin)


@given(boundaries(), STREAMS, CAPS, st.sampled_from([(0.05, 0.2), (1e-12, 0.9), (0.99, 1e-9)]))
def test_evidence_is_finite_and_never_falls_for_any_boundaries(bounds, xs, cap, errors):
    low, bad, good, high = bounds
    test = BoundaryTest(bad=bad, good=good, low=low, high=high, alpha=errors[0], beta=errors[1], cap=cap)
    ship = block = 1.0
    for x in xs:
        test.update(low + (x + 1.0) / 2.0 * (high - low))
        assert ship <= test.e_ship < np.inf
        assert block <= test.e_block < np.inf
        assert np.isfinite(test.e_regression)
        ship, block = test.e_ship, test.e_block


@given(boundaries(), STREAMS, st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_the_interval_is_never_empty_and_holds_the_mean(bounds, xs, level):
    low, bad, good, high = bounds
    test = BoundaryTest(bad=bad, good=good, low=low, high=high, cap=80)
    assert test.interval(level) == (low, high)
    test.update(np.array([low + (x + 1.0) / 2.0 * (high - low) for x in xs]))
    left, right = test.interval(level)
    assert low <= left <= right <= high
    if test.n:
        assert left - 1e-9 <= test.mean <= right + 1e-9


def test_the_interval_ignores_boundaries_errors_cap_and_planning():
    xs = np.random.default_rng(3).uniform(-0.3, 0.3, 60)
    a = start(cap=None, alpha=1e-9, beta=1e-9)
    b = start(cap=900, planning=xs, bad=-0.05, good=0.05, alpha=1e-60, beta=1e-60)
    a.update(xs)
    b.update(xs)
    assert a.n == b.n == 60
    assert a.interval(0.9) == b.interval(0.9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bad": 0.0, "good": 0.0},
        {"bad": 0.1, "good": 0.0},
        {"bad": -1.1},
        {"good": 1.1},
        {"bad": float("nan")},
        {"high": float("inf")},
        {"alpha": 0.0},
        {"beta": 1.0},
        {"alpha": float("nan")},
        {"cap": 0},
        {"cap": 2.5},
        {"planning": [0.0, float("nan")]},
        {"planning": [2.0]},
        {"planning": [[0.0]]},
    ],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError):
        start(**wrong)


def test_both_on_one_increment_is_block():
    test = BoundaryTest(bad=0.0, good=1.0, low=0.0, high=1.0, alpha=0.05, beta=0.2)
    assert test.update(0.5) == "block"
    assert test.e_ship >= 20
    assert test.e_block >= 5


def test_a_value_within_tolerance_of_the_range_counts_as_its_end():
    a, b = start(), start()
    a.update(np.array([1.0 + 5e-10, -1.0 - 5e-10, 0.0]))
    b.update(np.array([1.0, -1.0, 0.0]))
    assert state(a) == state(b)


def test_the_cap_ends_it_and_a_raised_cap_keeps_the_wealth():
    rng = np.random.default_rng(5)
    xs = rng.choice([-1.0, 0.0, 1.0], 4000, p=[0.05, 0.905, 0.045])
    test = start(cap=100)
    assert test.update(xs) == "inconclusive"
    assert test.n == test.cap == 100
    evidence = test.e_ship, test.e_block
    with pytest.raises(ValueError, match="raised"):
        test.raise_cap(50)
    test.raise_cap(3000)
    assert test.decision is None
    assert (test.e_ship, test.e_block) == evidence
    assert test.update(xs[100:]) in ("ship", "block", "inconclusive")
    replay = start(cap=100)
    replay.update(xs[:100])
    replay.raise_cap(3000)
    for x in xs[100:].tolist():
        replay.update(x)
    assert state(replay) == state(test)
    with pytest.raises(ValueError, match="raised"):
        start(cap=None).raise_cap(10)


def test_a_decided_test_stays_decided_when_its_cap_is_raised():
    test = start(cap=300)
    assert test.update(np.full(300, -0.5)) == "block"
    test.raise_cap(400)
    assert test.decision == "block"


def test_a_proven_regression_is_told_from_a_proven_lack_of_success():
    test = start(cap=2000, beta=1e-6)
    test.update(np.tile([-1.0, 0.0, 0.0], 100))
    assert test.decision == "block"
    assert test.regressed
    mild = start(cap=5000, planning=np.tile([-1.0, 1.0, *[0.0] * 18], 10))
    mild.update(np.tile([-1.0, *[0.0] * 35, 1.0, -1.0, *[0.0] * 35], 60))
    assert not mild.regressed


def test_constant_streams_at_the_boundaries_are_never_misjudged():
    for cap in (None, 500):
        at_bad, at_good = start(cap), start(cap)
        at_bad.update(np.full(500, -0.03))
        at_good.update(np.full(500, 0.0))
        assert at_bad.e_ship == pytest.approx(1.0)
        assert at_good.e_block == pytest.approx(1.0)


def test_identical_outputs_ship_within_the_fewest_possible_cases_times_one_and_a_half():
    test = start(cap=150, planning=np.zeros(100))
    assert test.update(np.zeros(150)) == "ship"


def test_an_update_of_25_increments_costs_well_under_a_millisecond():
    rng = np.random.default_rng(1)
    planning = rng.choice([-1.0, -0.2, 0.0, 0.2, 1.0], 200)
    best = np.inf
    for _ in range(5):
        test = start(cap=950, planning=planning, alpha=1e-9, beta=1e-9)
        batches = rng.choice([-1.0, -0.2, 0.0, 0.2, 1.0], (30, 25))
        begun = time.perf_counter()
        for batch in batches:
            test.update(batch)
        best = min(best, (time.perf_counter() - begun) / len(batches))
    assert best < 0.001
