"""The small pure pieces: each against a value worked out by other means."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright import stats


def test_sla_increments_count_the_unfinished_as_late():
    assert stats.sla_increments([0.5, 2.0, 2.1, np.inf], 2.0).tolist() == [1.0, 1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="NaN"):
        stats.sla_increments([np.nan], 1.0)


def test_the_relative_limit_is_below_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    bounds = [stats.relative_limit(rng.exponential(size=500), 0.0, error=0.1) for _ in range(400)]
    above = np.mean(np.array(bounds) > -np.log(0.05))
    assert above <= 0.1 + 2 * np.sqrt(0.09 / 400)
    assert np.median(bounds) > 2.4
    with pytest.raises(ValueError, match="too few"):
        stats.relative_limit([1.0], 0.0, quantile=0.95, error=0.005)


def test_a_quantile_interval_is_open_until_there_are_data_enough():
    assert stats.quantile_interval([], 0.95) == (-np.inf, np.inf)
    left, right = stats.quantile_interval(np.arange(30.0), 0.95)
    assert left >= 0
    assert right == np.inf
    left, right = stats.quantile_interval(np.arange(4000.0), 0.95)
    assert 3650 < left < 3800 < right < 3950


def test_cost_increments_need_an_enforced_cap():
    assert stats.cost_increments([0.0, 1.0, 4.0], 4.0).tolist() == [0.0, -0.25, -1.0]
    for costs in ([5.0], [-1.0], [np.nan]):
        with pytest.raises(ValueError, match="cap"):
            stats.cost_increments(costs, 4.0)


def test_a_mean_cost_is_refuted_without_any_cap():
    rng = np.random.default_rng(2)
    assert stats.MeanCostTest(at_most=1.0).update(rng.pareto(2.5, 3000) * 1.5 * 1.5) == "block"
    cheap = stats.MeanCostTest(at_most=1.0)
    assert cheap.update(rng.exponential(0.9, 3000)) is None
    assert cheap.e_block < 20
    blown = stats.MeanCostTest(at_most=1e-300)
    assert blown.update([1e300]) == "block"
    assert np.isfinite(blown.e_block)
    with pytest.raises(ValueError):
        blown.update([np.nan])


def test_group_increments_keep_the_case_weighted_mean_and_the_bounds():
    scores, groups = [1.0, 0.0, 1.0, 1.0, 0.0], ["b", "a", "b", "b", "a"]
    g = stats.group_increments(scores, groups, bad=0.5, good=0.6, low=0.0, high=1.0)
    assert g.increments.tolist() == pytest.approx([0.5, -1 / 3])
    assert (g.bad, g.low, g.high) == (0.0, -0.5, 0.5)
    assert g.good == pytest.approx(0.1 * 2.5 / 3)
    stats.BoundaryTest(bad=g.bad, good=g.good, low=g.low, high=g.high).update(g.increments)
    with pytest.raises(ValueError, match="largest"):
        stats.group_increments(scores, groups, bad=0.5, good=0.6, low=0, high=1, largest=2)


def test_the_clustered_standard_error_has_its_two_known_extremes():
    y = np.random.default_rng(0).random(200)
    singletons = stats.clustered_standard_error(y, np.arange(200))
    assert singletons == pytest.approx(y.std() / np.sqrt(200))
    doubled = stats.clustered_standard_error(np.repeat(y, 2), np.repeat(np.arange(200), 2))
    assert doubled == pytest.approx(singletons)


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=12), st.sampled_from([0.05, 0.2]))
def test_holm_proves_no_more_than_benjamini_hochberg_and_both_keep_the_largest(e_values, level):
    holm, bh = stats.e_holm(e_values, level), stats.e_bh(e_values, level)
    assert not (holm & ~bh).any()
    for chosen in (holm, bh):
        if chosen.any() and not chosen.all():
            assert np.min(np.array(e_values)[chosen]) >= np.max(np.array(e_values)[~chosen])


def test_selection_from_e_values():
    assert stats.e_bh([100, 51, 30, 1, 0], 0.05).tolist() == [True, True, False, False, False]
    assert stats.e_bh([99, 51, 34, 25, 20], 0.05).tolist() == [True] * 5
    assert stats.e_holm([79, 100, 60], 0.05).tolist() == [True, True, True]
    assert stats.e_holm([39, 100, 60], 0.05).tolist() == [True, True, True]
    assert stats.e_holm([19, 100, 39], 0.05).tolist() == [False, True, False]


def test_variance_components_recover_what_was_put_in():
    rng = np.random.default_rng(1)
    table = rng.normal(0, 0.3, (4000, 1)) + rng.normal(0, 0.2, (4000, 4))
    table[::3, 2:] = np.nan
    table[::7, 1:] = np.nan
    found = stats.variance_components(table)
    assert found.within == pytest.approx(0.04, rel=0.05)
    assert found.between == pytest.approx(0.09, rel=0.08)
    assert found.icc == pytest.approx(0.09 / 0.13, rel=0.05)
    assert stats.optimal_repeats(found, case_cost=0.0, call_cost=1.0) == 1
    assert stats.optimal_repeats(found, case_cost=20.0, call_cost=1.0) == 3
    with pytest.raises(ValueError, match="ran twice"):
        stats.variance_components([[1.0, np.nan]])


def test_flakiness_of_a_case():
    rng = np.random.default_rng(3)
    draws = rng.beta(3.5, 2.5, 200_000)
    assert stats.flaky_probability(3, 5) == pytest.approx(np.mean((draws > 0.1) & (draws < 0.9)), abs=0.004)
    assert stats.flaky_probability(0, 0) == pytest.approx(
        1 - 2 * np.arcsin(np.sqrt(0.1)) * 2 / np.pi, abs=1e-4
    )
    assert stats.flaky_probability(50, 50) < 0.01


def test_naive_gates_turn_identical_candidates_away_and_ours_seldom_does():
    rng = np.random.default_rng(4)
    rates = rng.choice([0.97, 0.5, 0.03], 400, p=[0.65, 0.22, 0.13])
    runs = (rng.random((400, 5)) < rates[:, None]).astype(float)
    gates = {
        "any drop": stats.any_drop,
        "two points": stats.drop_beyond(0.02),
        "any case": stats.any_case_broke,
        "watched": stats.watched_t_test,
        "ours": stats.betting_gate(margin=0.05),
    }
    red = stats.false_red_rates(runs, gates, cases=100, replications=150)
    assert red["any case"] > 0.9
    assert red["any drop"] > 0.25
    assert red["two points"] > 0.1
    assert red["watched"] > 0.05
    assert red["ours"] <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 150)


def test_the_watched_t_test_is_red_where_a_test_at_some_look_is():
    rng = np.random.default_rng(6)
    z = -1.6448536269514722
    answers = []
    for cases in (5, 20, 57, 300):
        for shift in (-0.1, 0.0, 0.1):
            candidate, baseline = rng.normal(shift, 1.0, cases), rng.normal(0.0, 1.0, cases)
            d = candidate - baseline
            looks = [d[:n] for n in range(20, cases + 1, 10)]
            red = any(seen.mean() * np.sqrt(seen.size) / seen.std(ddof=1) < z for seen in looks)
            assert stats.watched_t_test(candidate, baseline) == red
            answers.append(red)
    assert len(set(answers)) == 2
    assert not stats.watched_t_test(np.full(100, 0.1), np.full(100, 0.4))  # no spread, no t


def test_the_watched_t_test_takes_time_in_proportion_to_the_cases():
    rng = np.random.default_rng(7)
    runs = rng.normal(0.1, 1.0, 400_000), rng.normal(0.0, 1.0, 400_000)
    began = time.process_time()
    assert not stats.watched_t_test(*runs)
    assert time.process_time() - began < 1.0  # a minute when each look begins anew


def test_every_public_name_exists_and_is_documented():
    for name in stats.__all__:
        item = getattr(stats, name)
        assert not callable(item) or item.__doc__ or name in ("Gate", "Decision", "CanaryDecision"), name
