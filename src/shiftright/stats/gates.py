"""What common gates do when nothing changed: the share of identical candidates that they turn away."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats._bets import Array
from shiftright.stats.boundary import BoundaryTest

# (candidate scores, baseline scores), shape (cases,) each -> is it red?
Gate = Callable[[Array, Array], bool]


def any_drop(candidate: Array, baseline: Array) -> bool:
    """Red when the mean is lower at all."""
    return float(candidate.mean()) < float(baseline.mean()) - 1e-12


def drop_beyond(threshold: float) -> Gate:
    """Red when the mean is lower by more than ``threshold``."""
    return lambda candidate, baseline: float(candidate.mean()) < float(baseline.mean()) - threshold - 1e-12


def any_case_broke(candidate: Array, baseline: Array) -> bool:
    """Red when a case that passed (score >= 0.5) no longer does."""
    return bool(((baseline >= 0.5) & (candidate < 0.5)).any())


def watched_t_test(candidate: Array, baseline: Array, *, every: int = 10, error: float = 0.05) -> bool:
    """Red when a paired one-sided t test, looked at after every few cases, is ever significant."""
    d = candidate - baseline
    looks = np.arange(2 * every, d.size + 1, every)
    if looks.size == 0:
        return False
    # running sums: a mean and a variance anew at each look would take time in the square of the cases
    from_first = d - d[0]  # differences that are all alike then have a variance of exactly 0
    total, squares = np.cumsum(from_first)[looks - 1], np.cumsum(from_first**2)[looks - 1]
    spread = np.sqrt(np.maximum(squares - total**2 / looks, 0.0) / (looks - 1))
    t_below = (d[0] + total / looks) * np.sqrt(looks) < NormalDist().inv_cdf(error) * spread
    return bool((t_below & (spread > 0.0)).any())


def betting_gate(*, margin: float, false_red: float = 0.05, planning: ArrayLike | None = None) -> Gate:
    """This package's pull-request gate: red only when E_block, the evidence against "no loss", reaches
    1/false_red.
    """

    def red(candidate: Array, baseline: Array) -> bool:
        test = BoundaryTest(
            bad=-margin,
            good=0.0,
            low=-1.0,
            high=1.0,
            alpha=0.05,
            beta=false_red,
            cap=candidate.size,
            planning=planning,
        )
        return test.update(candidate - baseline) == "block"

    return red


def false_red_rates(
    runs: ArrayLike, gates: dict[str, Gate], *, cases: int, replications: int = 1000, seed: int = 0
) -> dict[str, float]:
    """How often each gate is red between two runs of the *same* variant, by resampling recorded runs.

    ``runs``: scores in [0, 1], shape (cases recorded, repeats >= 2), of one variant. Each replication draws
    ``cases`` of them with replacement and takes two different repeats of each as candidate and baseline.
    """
    table = np.asarray(runs, np.float64)
    if table.ndim != 2 or table.shape[1] < 2 or not np.isfinite(table).all():
        raise ValueError("runs must have shape (cases, repeats) with at least two repeats, all finite")
    rng = np.random.default_rng(seed)
    red = dict.fromkeys(gates, 0)
    for _ in range(replications):
        rows = rng.integers(len(table), size=cases)
        first = rng.integers(table.shape[1], size=cases)
        second = (first + rng.integers(1, table.shape[1], size=cases)) % table.shape[1]
        candidate, baseline = table[rows, first], table[rows, second]
        for name, gate in gates.items():
            red[name] += gate(candidate, baseline)
    return {name: count / replications for name, count in red.items()}
