"""How much to bet: Kelly bets for planned alternatives, learnt from past increments only.

Bets decide what a decision costs, never whether it is valid: a process multiplied by ``1 + bet * (x -
null)`` is an e-process for *every* bet in ``[0, 1 / (null - low))`` that was fixed before ``x`` was seen
(Waudby-Smith & Ramdas 2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_SUPPORT = 64  # distinct values kept when a law is summarised
SAFETY = 0.95  # share of the largest legal bet: no single increment can cost more than 95 % of the wealth
_END_MASS = 0.1  # pseudo-cases at each end of the range, so that every planned mean can be reached by tilting
_STEEPEST, _CLOSE = 200.0, 1e-9  # largest tilt and when a mean is reached, both in units of the range
_TINY = 1e-9  # stands for an infinite bet range when the null is the end of the range itself


class PastLaw:
    """The increments seen so far, plus ``weight`` pseudo-cases spread over a planning sample, as one
    weighted law.

    Without a planning sample the pseudo-cases are few and wide: half at ``centre``, half at the ends with
    mean ``centre``.
    """

    def __init__(
        self, low: float, high: float, centre: float, planning: Array | None, weight: float = 20.0
    ) -> None:
        self._ends = low, high
        self._mass: dict[float, float] = {low: _END_MASS}
        self._mass[high] = self._mass.get(high, 0.0) + _END_MASS
        if planning is not None and planning.size:
            values, masses = summarise(planning, np.ones_like(planning))
            masses *= min(weight, planning.size) / masses.sum()
            self._add(zip(values.tolist(), masses.tolist(), strict=True))
        else:
            upper = (centre - low) / (high - low)
            self._add([(centre, 2.0), (high, 2.0 * upper), (low, 2.0 * (1.0 - upper))])

    def _add(self, pairs: Iterable[tuple[float, float]]) -> None:
        for value, mass in pairs:
            self._mass[value] = self._mass.get(value, 0.0) + mass

    def observe(self, xs: Sequence[float]) -> None:
        mass = self._mass
        for x in xs:
            mass[x] = mass.get(x, 0.0) + 1.0

    def fade(self, most: float) -> None:
        """Forget until at most ``most`` cases' mass and about ``MAX_SUPPORT`` values are left; the ends stay."""
        size = len(self._mass)
        values = np.fromiter(self._mass.keys(), np.float64, size)
        masses = np.fromiter(self._mass.values(), np.float64, size)
        if size > MAX_SUPPORT:
            values, masses = summarise(values, masses)
        masses *= min(1.0, most / float(masses.sum()))
        kept = masses > _TINY  # what has not been seen for very long
        self._mass = dict(zip(values[kept].tolist(), masses[kept].tolist(), strict=True))
        for end in self._ends:
            self._mass[end] = max(self._mass.get(end, 0.0), _END_MASS)

    @property
    def masses(self) -> list[tuple[float, float]]:
        """(value, mass) pairs, in the order in which they came: to be stored, and set again."""
        return list(self._mass.items())

    @masses.setter
    def masses(self, pairs: Iterable[tuple[float, float]]) -> None:
        self._mass = dict(pairs)

    def summary(self) -> tuple[Array, Array]:
        """(values, probabilities), at most about ``MAX_SUPPORT`` of them."""
        size = len(self._mass)
        values = np.fromiter(self._mass.keys(), np.float64, size)
        masses = np.fromiter(self._mass.values(), np.float64, size)
        if size > MAX_SUPPORT:
            values, masses = summarise(values, masses)
            if size > 16 * MAX_SUPPORT:  # a stream that never ends must not grow for ever
                self._mass = dict(zip(values.tolist(), masses.tolist(), strict=True))
        return values, masses / masses.sum()


def summarise(values: Array, masses: Array, most: int = MAX_SUPPORT) -> tuple[Array, Array]:
    """Merge neighbours until few values are left. A bin is narrow both in value and in mass, so tails keep
    their weight.
    """
    values, inverse = np.unique(values, return_inverse=True)
    masses = np.bincount(inverse, masses).astype(np.float64)
    if values.size <= most:
        return values, masses
    half = most / 2 - 1
    rank = np.cumsum(masses) / masses.sum()
    bins = (half * (values - values[0]) / (values[-1] - values[0]) + half * rank).astype(np.intp)
    mass: Array = np.bincount(bins, masses).astype(np.float64)
    total: Array = np.bincount(bins, masses * values).astype(np.float64)
    kept = mass > 0
    return total[kept] / mass[kept], mass[kept]


def expectation(weights: Array, values: Array) -> float:
    """sum w_i x_i in numpy's own order: BLAS may add up in another order on another run, and replay must be
    exact.
    """
    return float((weights * values).sum())


def tilt(values: Array, weights: Array, means: Array, theta: Array, steps: int) -> tuple[Array, Array]:
    """Exponentially tilt one law to several means: rows ``w_i exp(theta x_i)``.

    ``means`` and ``theta`` (where to start) have shape (rows, 1); returns (tilted weights of shape (rows, values),
    theta). Newton's steps for the log-odds of the mean within the range of ``values``, which for two values are linear
    in theta, and bisection where a step leaves the bracket: plain Newton diverges on skewed laws. A mean out of reach
    is approached.
    """
    low, high = float(values.min()), float(values.max())
    width = high - low if high > low else 1.0
    centred, log_weights = (values - low) / width, np.log(weights)
    goal = np.minimum(np.maximum((means - low) / width, _TINY), 1.0 - _TINY)
    wanted = np.log(goal / (1.0 - goal))
    theta = theta * width
    left, right = np.full_like(goal, -_STEEPEST), np.full_like(goal, _STEEPEST)
    for step in range(steps + 1):
        exponent = theta * centred + log_weights
        exponent -= exponent.max(axis=1, keepdims=True)
        tilted: Array = np.exp(exponent)
        tilted /= tilted.sum(axis=1, keepdims=True)
        mean = (tilted * centred).sum(axis=1, keepdims=True)
        off = np.abs(mean - goal) > _CLOSE
        if step == steps or not off.any():
            break
        below = mean < goal
        left, right = np.where(below, theta, left), np.where(below, right, theta)
        variance = np.maximum((tilted * (centred - mean) ** 2).sum(axis=1, keepdims=True), 1e-12)
        inside = np.minimum(np.maximum(mean, _TINY), 1.0 - _TINY)
        spread = inside * (1.0 - inside)
        moved = theta + (wanted - np.log(inside / (1.0 - inside))) * spread / variance
        moved = np.where((moved > left) & (moved < right), moved, 0.5 * (left + right))
        theta = np.where(off, moved, theta)
    return tilted, theta / width


class KellyBets:
    """Kelly bets for several (null, planned mean) pairs at once; each refresh starts from the last one.

    Row r bets that the mean lies beyond ``nulls[r]`` on the side ``signs[r]`` (+1 above, -1 below) and
    plans for ``means[r]``: ``bet = argmax E log(1 + bet * sign * (x - null))`` under the past law tilted to
    that mean.
    """

    def __init__(self, nulls: Sequence[float], means: Sequence[float], signs: Sequence[float]) -> None:
        self._nulls = np.array(nulls, np.float64)[:, None]
        self._means = np.array(means, np.float64)[:, None]
        self._signs = np.array(signs, np.float64)[:, None]
        self._theta: Array | None = None
        self._bets = np.zeros_like(self._nulls)

    def forget(self) -> None:
        """Start the next refresh cold: the law is about to change its scale."""
        self._theta = None

    def refresh(self, values: Array, weights: Array, largest: Array) -> list[float]:
        """Bets, one per row, none above ``largest`` (shape (rows,))."""
        cold = self._theta is None
        theta = np.zeros_like(self._nulls) if self._theta is None else self._theta
        tilted, self._theta = tilt(values, weights, self._means, theta, 30 if cold else 2)
        gains = self._signs * (values - self._nulls)
        bets, ceiling = self._bets, largest[:, None]
        if cold:
            gap = np.abs(self._means - self._nulls)
            bets = np.minimum(gap / ((tilted * gains * gains).sum(axis=1, keepdims=True) + 1e-300), ceiling)
        for _ in range(8 if cold else 2):
            share = gains / (1.0 + bets * gains)
            slope = (tilted * share).sum(axis=1, keepdims=True)
            curve = (tilted * share * share).sum(axis=1, keepdims=True) + 1e-300
            bets = np.minimum(np.maximum(bets + slope / curve, 0.0), ceiling)
        self._bets = bets
        row: list[float] = bets[:, 0].tolist()
        return row


def largest_bet(distance: float, width: float) -> float:
    """The largest bet used against a null at ``distance`` from the end of the range; finite always."""
    return SAFETY / max(distance, _TINY * width)


def planned_means(
    null: float, gap: float, sign: float, end: float, multiples: Sequence[float]
) -> list[float]:
    """``null + sign * multiple * gap``, kept strictly inside the range that finishes at ``end``."""
    room = 0.98 * abs(end - null)
    return [null + sign * min(multiple * gap, room) for multiple in multiples]
