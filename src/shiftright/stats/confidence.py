"""Anytime-valid confidence sequences for a bounded mean, by betting (Waudby-Smith & Ramdas 2024)."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shiftright.stats._bets import Array
from shiftright.stats._inputs import increments, probability

_SHARE = 0.75  # bets are cut at this share of the largest legal bet
_PARTS = np.arange(1.0, 8.0)[:, None] / 8.0


def mean_interval(
    xs: ArrayLike, level: float = 0.95, *, low: float, high: float, aim: int | None = None
) -> tuple[float, float]:
    """The values of the mean not rejected by betting on ``xs``, shape (n,), at ``1 - level``: an interval.

    Valid at every n at once, for any law on [low, high] whose conditional mean is constant, whatever the
    stopping rule. ``aim``: bet for this n (fixed before the data) instead of for all n; still valid at
    every n, shortest near it. Never empty: it always holds the sample mean. (low, high) when there are no
    data.
    """
    probability("level", level)
    values = np.array(increments(xs, low, high))
    return bounded_interval(values, level, low=low, high=high, aim=aim)


def bounded_interval(
    xs: Array,
    level: float,
    *,
    low: float | Array,
    high: float | Array,
    ends: tuple[float, float] | None = None,
    nulls: Callable[[Array], Array] | None = None,
    aim: int | None = None,
) -> tuple[float, float]:
    """The general form: bounds may differ per increment (shape (n,)) if fixed before it, and so may the
    null mean.

    ``ends``: where the mean can lie at all. ``nulls``: candidate means, shape (k, 1), to the conditional
    mean each implies for every increment, shape (k, n), rising in the candidate; by default the candidate
    itself.
    """
    start, end = ends or (float(np.min(low)), float(np.max(high)))
    if xs.size == 0 or end <= start:
        return start, end
    mean = min(max(float(xs.mean()), start), end)
    bets = _predictable_bets(xs, np.broadcast_to(high - low, xs.shape), level, aim)
    need = log(2.0 / (1.0 - level))
    implied = nulls or (lambda means: means)
    lower = _last_rejected(start, mean, lambda means: _rejected(xs, implied(means), low, bets, need))
    upper = -_last_rejected(-end, -mean, lambda means: _rejected(-xs, -implied(-means), -high, bets, need))
    return min(lower, mean), max(upper, mean)


def _predictable_bets(xs: Array, width: Array, level: float, aim: int | None) -> Array:
    """Bets from past values only, eq. (26) of the paper: sqrt(2 log(2/a) / (v_{t-1} t log(1+t)))."""
    t = np.arange(1.0, xs.size + 1.0)
    prior = 0.25 * float(width[0]) ** 2
    means = np.cumsum(xs) / t
    spread = (prior + np.cumsum((xs - means) ** 2)) / (t + 1.0)
    past = np.concatenate(([prior], spread[:-1]))
    horizon = t * np.log1p(t) if aim is None else float(aim)
    bets: Array = np.sqrt(2.0 * log(2.0 / (1.0 - level)) / (past * horizon + 1e-300))
    return bets


def _rejected(xs: Array, nulls: Array, low: float | Array, bets: Array, need: float) -> NDArray[np.bool_]:
    """For every row of nulls: does prod(1 + bet (x - null)) reach exp(need)? Every factor falls as the null
    rises.
    """
    legal = np.minimum(bets, _SHARE / np.maximum(nulls - low, 1e-12))
    rejected: NDArray[np.bool_] = np.log1p(legal * (xs - nulls)).sum(axis=1) >= need
    return rejected


def _last_rejected(left: float, right: float, rejected: Callable[[Array], NDArray[np.bool_]]) -> float:
    """Largest rejected value between left and right, by eight rounds that cut the range to an eighth."""
    for _ in range(8):
        grid = left + (right - left) * _PARTS
        last = int(np.count_nonzero(rejected(grid)))
        below = left if last == 0 else float(grid[last - 1, 0])
        left, right = below, (right if last == len(grid) else float(grid[last, 0]))
    return left
