"""Anytime-valid confidence sequences for a bounded mean, by betting with a universal portfolio."""

from __future__ import annotations

from collections.abc import Callable
from math import lgamma, log, pi

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats._bets import Array, expectation
from shiftright.stats._inputs import increments, probability


def mean_interval(xs: ArrayLike, level: float = 0.95, *, low: float, high: float) -> tuple[float, float]:
    """The means not rejected at ``1 - level`` by betting on ``xs``, shape (n,): an interval.

    Valid at every n at once, for any law on [low, high] whose conditional mean is constant, whatever the
    stopping rule. Never empty: it holds the sample mean. (low, high) when there are no data.
    A mean m is rejected when the best constant bet on m being wrong has earned 2/(1 - level) times the price
    of not having known it: Cover & Ordentlich 1996 (regret); Orabona & Jun 2024 (2110.14099), theorem 4.
    """
    probability("level", level)
    low, high = float(low), float(high)
    return interval(np.array(increments(xs, low, high)), level, low=low, high=high)


def interval(xs: Array, level: float, *, low: float, high: float) -> tuple[float, float]:
    """``mean_interval`` without its checks."""
    if xs.size == 0:
        return low, high
    values, counts = np.unique(xs, return_counts=True)
    return search(values, counts.astype(np.float64), level, low, high, (low, high), lambda mean: mean)


def search(
    xs: Array,
    counts: Array,
    level: float,
    low: float | Array,
    high: float | Array,
    ends: tuple[float, float],
    null: Callable[[float], float | Array],
) -> tuple[float, float]:
    """The general form. Bounds may differ per increment if they were fixed before it, and so may the null.

    ``counts``: how often each of ``xs``, shape (n,), was seen. ``ends``: where the mean can lie at all.
    ``null``: a candidate mean to the conditional mean it implies for every increment, rising in the
    candidate.
    """
    start, end = ends
    total = float(counts.sum())
    if end <= start:
        return start, end
    mean = min(max(expectation(counts, xs) / total, start), end)
    need = log(2.0 / (1.0 - level)) + _price(total)
    lower = _last_rejected(start, mean, lambda m: _earned(xs, counts, null(m), low, need))
    upper = -_last_rejected(-end, -mean, lambda m: _earned(-xs, counts, -null(-m), -high, need))
    return lower, upper


def _price(n: float) -> float:
    """Log wealth a universal portfolio of two assets can lose to the best constant bet over n increments."""
    return 0.5 * log(pi) + lgamma(n + 1.0) - lgamma(n + 0.5)


def _earned(xs: Array, counts: Array, null: float | Array, low: float | Array, need: float) -> bool:
    """Does sum log(1 + share (x - null)/(null - low)) reach ``need`` for a share in [0, 1]?

    The sum falls as the null rises. Newton's steps on a concave function; a missed maximum only widens.
    """
    gains = (xs - null) / np.maximum(null - low, 1e-12)
    drift = expectation(counts, gains)
    if drift <= 0.0:
        return False
    share = min(drift / (expectation(counts, gains * gains) + 1e-300), 0.9)  # squares of tiny gains are 0
    for _ in range(30):
        grown = 1.0 + share * gains
        if expectation(counts, np.log(grown)) >= need:
            return True
        slopes = gains / grown
        slope = expectation(counts, slopes)
        step = slope / (expectation(counts, slopes * slopes) + 1e-300)
        moved = min(max(share + step, 0.1 * share), 1.0 - 0.1 * (1.0 - share))
        if abs(moved - share) <= 1e-4 * share:
            break
        share = moved
    return False


def _last_rejected(left: float, right: float, rejected: Callable[[float], bool]) -> float:
    """Where rejection ends between ``left`` and ``right``, to 2^-24 of their distance."""
    for _ in range(24):
        middle = 0.5 * (left + right)
        if rejected(middle):
            left = middle
        else:
            right = middle
    return left
