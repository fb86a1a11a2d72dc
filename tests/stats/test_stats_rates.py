"""Small simulations with fixed seeds: a rate passes when it is at most nominal + 2 standard errors."""

import numpy as np
import pytest

from shiftright.stats import BoundaryTest, SuiteTest, mean_interval, quantile_interval


def ternary(rng, mean, size):
    return rng.choice([-1.0, 0.0, 1.0], size, p=[0.05 - mean / 2, 0.9, 0.05 + mean / 2])


def skewed(rng, mean, size):
    """Rare disasters: -1 seldom, else a little above zero."""
    return np.where(rng.random(size) < 0.02, -1.0, (mean + 0.02) / 0.98)


def fickle(rng, mean, size):
    """Not independent: the variance depends on the last sign, the conditional mean does not."""
    signs = rng.choice([-1.0, 1.0], size)
    scale = np.where(np.roll(signs, 1) > 0, 0.9, 0.05)
    return mean + scale * signs * (1 - abs(mean))


def limit(nominal, runs):
    return nominal + 2 * np.sqrt(nominal * (1 - nominal) / runs)


@pytest.mark.parametrize("law", [ternary, skewed, fickle])
@pytest.mark.parametrize(("cap", "planned"), [(None, False), (400, True)])
def test_wrong_ship_and_wrong_block_stay_below_their_errors(law, cap, planned):
    rng = np.random.default_rng(11)
    runs = 150
    wrong = {"ship": 0, "block": 0}
    for mean, answer in ((-0.05, "ship"), (0.0, "block")):
        for _ in range(runs):
            planning = law(rng, 0.0, 80) if planned else None
            test = BoundaryTest(bad=-0.05, good=0.0, low=-1, high=1, cap=cap, planning=planning)
            wrong[answer] += test.update(law(rng, mean, 400)) == answer
    assert wrong["ship"] / runs <= limit(0.05, runs)
    assert wrong["block"] / runs <= limit(0.20, runs)


def test_the_expected_evidence_under_the_null_is_at_most_one():
    """At a fixed n the mean e-value of the boundary law is at most 1: an exact check of every bet, by
    enumeration.
    """
    outcomes = np.array(np.meshgrid(*[[0.0, 1.0]] * 9)).reshape(9, -1).T
    for bad, good, beta in ((0.5, 0.9, 1e-9), (0.1, 0.3, 1e-9), (0.85, 0.9, 1e-9)):
        total = 0.0
        for xs in outcomes:
            test = BoundaryTest(bad=bad, good=good, low=0, high=1, alpha=1e-9, beta=beta, cap=9)
            weight, values = 1.0, []
            for x in xs:
                test.update(float(x))
                weight *= bad if x else 1 - bad
                values.append(test.e_ship)
            total += weight * (values[-1] >= 4.0)
        assert total <= 0.25 + 1e-12


def test_power_at_the_good_boundary_and_calls_near_the_limit():
    rng = np.random.default_rng(8)
    runs, shipped, calls = 120, 0, 0
    cap = int(1.5 * 6.1826 * 0.1 / 0.05**2)
    for _ in range(runs):
        test = BoundaryTest(bad=-0.05, good=0.0, low=-1, high=1, cap=cap, planning=ternary(rng, 0.0, 100))
        shipped += test.update(ternary(rng, 0.0, cap)) == "ship"
        calls += test.n
    assert shipped / runs >= 0.75 - 2 * np.sqrt(0.75 * 0.25 / runs)
    assert calls / runs <= 1.45 * 3.81 * 0.1 / 0.05**2


@pytest.mark.parametrize("law", [ternary, skewed])
def test_the_interval_covers_at_every_n_at_once(law):
    rng = np.random.default_rng(4)
    runs, missed = 120, 0
    for _ in range(runs):
        xs = law(rng, -0.01, 600)
        looks = [mean_interval(xs[:n], 0.9, low=-1, high=1) for n in (1, 5, 20, 60, 200, 600)]
        missed += any(not left <= -0.01 <= right for left, right in looks)
    assert missed / runs <= limit(0.10, runs)


def test_the_interval_closes_in():
    xs = (np.random.default_rng(0).random(4000) < 0.8).astype(float)
    widths = [np.diff(mean_interval(xs[:n], low=0, high=1))[0] for n in (50, 500, 4000)]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 0.06


def test_the_quantile_interval_covers_at_every_n_at_once_ties_included():
    rng = np.random.default_rng(6)
    runs, missed = 150, 0
    for _ in range(runs):
        xs = np.ceil(4 * rng.exponential(size=1500)) / 4
        truth = np.ceil(-4 * np.log(0.05)) / 4
        looks = [quantile_interval(xs[:n], 0.95, 0.9) for n in (20, 100, 400, 1500)]
        missed += any(not left <= truth <= right for left, right in looks)
    assert missed / runs <= limit(0.10, runs)


@pytest.mark.parametrize("with_control", [False, True])
def test_suite_errors_over_the_random_order(with_control):
    rng = np.random.default_rng(9)
    runs, size = 150, 200
    baseline = np.repeat([0.0, 0.6, 1.0], [40, 40, 120])
    broken, same = np.zeros(size), np.zeros(size)
    broken[80:90] = -1.0  # mean exactly -0.05
    same[80:90], same[40:50] = -0.5, 0.5  # mean exactly 0
    for scores, wrong, nominal in ((broken, "ship", 0.05), (same, "block", 0.20)):
        count = 0
        for _ in range(runs):
            order = rng.permutation(size)
            control = baseline[order] if with_control else None
            test = SuiteTest(cases=size, bad=-0.05, good=0.0, low=-1, high=1, control=control)
            assert test.update(scores[order]) in ("ship", "block")
            count += test.decision == wrong
        assert count / runs <= limit(nominal, runs)
