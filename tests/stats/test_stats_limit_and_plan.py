"""The limit against brute force, and plans against the figures they must reproduce."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright.stats import (
    BoundaryTest,
    binary_kl,
    clean_cases_needed,
    expected_calls_limit,
    fixed_size,
    kl_inf,
    plan,
)

ASK = {"bad": -0.03, "good": 0.0, "alpha": 0.05, "beta": 0.20}


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12), st.floats(-0.9, 0.5))
def test_kl_inf_is_the_growth_of_the_best_constant_bet(xs, null):
    xs = np.array(xs)
    bets = np.linspace(0.0, 1.0 / (null + 1.0), 4_001)[:-1]
    brute = np.log1p(bets[:, None] * (xs - null)).mean(axis=1).max()
    assert kl_inf(xs, null, low=-1.0) == pytest.approx(brute, abs=1e-3)
    assert kl_inf(xs, null, low=-1.0) >= brute - 1e-12


def test_kl_inf_is_the_least_divergence_to_a_law_with_the_null_mean():
    """Primal by brute force: every law on three points with mean at most the null."""
    points, law, null = np.array([0.0, 0.5, 1.0]), np.array([0.2, 0.3, 0.5]), 0.5
    a, b = np.meshgrid(np.linspace(1e-6, 1, 1501), np.linspace(1e-6, 1, 1501))
    c = 1.0 - a - b
    legal = (c > 0) & (0.5 * b + c <= null)
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = law[0] * np.log(law[0] / a) + law[1] * np.log(law[1] / b) + law[2] * np.log(law[2] / c)
    xs = np.repeat(points, [2, 3, 5])
    assert kl_inf(xs, null, low=0.0) == pytest.approx(divergence[legal].min(), rel=1e-3)


def test_the_bernoulli_limit_is_walds():
    xs = np.repeat([1.0, 0.0], [80, 20])
    limit = expected_calls_limit(xs, bad=0.7, good=0.75, alpha=0.05, beta=0.2, p_ship=0.9, low=0, high=1)
    assert limit == pytest.approx(binary_kl(0.9, 0.05) / binary_kl(0.8, 0.7))


def test_a_side_is_nothing_below_its_error_and_infinite_without_information():
    xs = np.array([-1.0, 1.0, 0.0, 0.0])
    assert expected_calls_limit(xs, **ASK, p_ship=0.05, p_block=0.2) == 0.0
    assert (
        expected_calls_limit(xs, **ASK, p_ship=0.04) == np.inf
    )  # mean 0 is good: blocking it cannot be bought
    assert (
        expected_calls_limit(xs - 0.5, bad=-0.5, good=0.0, alpha=0.05, beta=0.2, p_ship=0.1, p_block=0)
        == np.inf
    )
    assert expected_calls_limit(xs, **ASK, p_ship=0.8, p_block=0.1) < np.inf
    at_bad = np.array([-0.1, 0.2, 0.3, -0.4, 0.1]) - 0.02 - 0.03  # its mean is bad, but for rounding
    assert expected_calls_limit(at_bad, **ASK, p_ship=0.5, p_block=0.5, low=-1, high=1) == np.inf


@pytest.mark.parametrize(
    "wrong", [{"p_ship": 1.5}, {"p_ship": np.nan}, {"bad": 0.1}, {"alpha": 0}, {"low": 0.5}]
)
def test_wrong_questions_about_the_limit_are_refused(wrong):
    with pytest.raises(ValueError):
        expected_calls_limit(np.array([0.0, 0.2, 1.0, -1.0]), **{**ASK, "p_ship": 0.8, **wrong})


def test_wrong_samples_are_refused():
    for xs in ([], [np.nan], [[0.0, 1.0]]):
        with pytest.raises(ValueError):
            expected_calls_limit(np.array(xs), **ASK, p_ship=0.8)
        with pytest.raises(ValueError):
            plan(np.array(xs), **ASK)


def test_clean_cases():
    assert clean_cases_needed(0.01, 1.0, 0.05) == 299
    assert clean_cases_needed(0.001, 1.0, 0.05) == 2995


def sample(seed=0, size=300):
    rng = np.random.default_rng(seed)
    return rng.choice([-1.0, -0.2, 0.0, 0.2, 1.0], size, p=[0.03, 0.2, 0.54, 0.2, 0.03])


def test_a_plan_follows_the_formula_and_the_exact_test():
    xs = sample()
    p = plan(xs, **ASK, low=-1.0, high=1.0)
    assert p.fixed_n == fixed_size(xs.var(), 0.03, alpha=0.05, beta=0.2)
    assert p.fixed_n == pytest.approx(6.1826 * xs.var() / 0.0009, abs=1)
    assert p.cap == p.needed == np.ceil(1.5 * p.fixed_n)
    assert p.resolvable_margin == pytest.approx(0.03, rel=0.01)
    assert set(p.expected_calls) == {"bad", "middle", "good"}
    assert 0.3 * p.fixed_n < p.expected_calls["bad"] < p.expected_calls["middle"] < p.cap
    assert p == plan(xs, **ASK, low=-1.0, high=1.0)
    assert p.expected_calls != plan(xs, **ASK, low=-1.0, high=1.0, seed=1).expected_calls


def test_a_plan_honours_the_cases_at_hand():
    p = plan(sample(), **ASK, low=-1.0, high=1.0, n_available=120)
    assert p.cap == 120 < p.needed
    assert max(p.expected_calls.values()) <= 120
    assert p.resolvable_margin == pytest.approx(np.sqrt(6.1826 * sample().var() / 80), rel=1e-3)


def test_a_plan_for_outputs_that_never_differ_still_leaves_room_to_decide():
    p = plan(np.zeros(60), **ASK, low=-1.0, high=1.0)
    test = BoundaryTest(**ASK, low=-1.0, high=1.0, cap=p.cap, planning=np.zeros(60))
    assert test.update(np.zeros(p.cap)) == "ship"


def test_a_plan_takes_its_range_from_the_values_when_none_is_given():
    xs = np.random.default_rng(2).beta(8, 2, 200)
    p = plan(xs, bad=0.75, good=0.80, alpha=0.05, beta=0.2)
    assert 0 < p.expected_calls["good"] <= p.cap
