"""Anytime-valid confidence sequences for a bounded mean, by betting (Waudby-Smith & Ramdas 2024, section 4)."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats._bets import Array
from shiftright.stats._inputs import increments, probability

_SHARE = 0.75  # bets are cut at this share of the largest legal bet


def mean_interval(
    xs: ArrayLike, level: float = 0.95, *, low: float, high: float, aim: int | None = None
) -> tuple[float, float]:
    """The values of the mean not rejected by betting on ``xs``, shape (n,), at ``1 - level``: an interval.

    Valid at every n at once, for any law on [low, high] whose conditional mean is constant, whatever the stopping rule.
    ``aim``: bet for this n (fixed before the data) instead of for all n; still valid at every n, and shortest near it.
    Never empty: it always holds the sample mean. (low, high) when there are no data.
    """
    probability("level", level)
    return _interval(np.array(increments(xs, low, high)), level, low, high, aim)


def _interval(xs: Array, level: float, low: float, high: float, aim: int | None = None) -> tuple[float, float]:
    if xs.size == 0 or high <= low:
        return low, high
    unit = (xs - low) / (high - low)
    bets = _predictable_bets(unit, level, aim)
    mean = float(unit.mean())
    lower = _lower_bound(unit, bets, level, mean)
    upper = 1.0 - _lower_bound(1.0 - unit, bets, level, 1.0 - mean)
    width = high - low
    centre = min(max(float(xs.mean()), low), high)
    return max(low, min(low + width * lower, centre)), min(high, max(low + width * upper, centre))


def _predictable_bets(unit: Array, level: float, aim: int | None) -> Array:
    """Bets from past values only: sqrt(2 log(2/a) / (v_{t-1} t log(1+t))), eq. (26) of Waudby-Smith & Ramdas."""
    t = np.arange(1.0, unit.size + 1.0)
    means = (0.5 + np.cumsum(unit)) / (t + 1.0)
    spread = (0.25 + np.cumsum((unit - means) ** 2)) / (t + 1.0)
    past = np.concatenate(([0.25], spread[:-1]))
    horizon = t * np.log1p(t) if aim is None else float(aim)
    bets: Array = np.sqrt(2.0 * log(2.0 / (1.0 - level)) / (past * horizon))
    return bets


def _lower_bound(unit: Array, bets: Array, level: float, mean: float) -> float:
    """Largest m at which prod(1 + min(bet, c/m)(x - m)) reaches 2/(1 - level); every factor falls in m, so bisect."""
    need = log(2.0 / (1.0 - level))
    left, right = 0.0, mean
    for _ in range(8):  # eight rounds of eight parts each: 8**-8 of the range
        grid = left + (right - left) * np.arange(1.0, 8.0) / 8.0
        cut = np.minimum(bets, _SHARE / np.maximum(grid, 1e-12)[:, None])
        rejected = np.log1p(cut * (unit - grid[:, None])).sum(axis=1) >= need
        last = int(np.count_nonzero(rejected))
        left, right = (left if last == 0 else float(grid[last - 1])), (right if last == 7 else float(grid[last]))
    return left
