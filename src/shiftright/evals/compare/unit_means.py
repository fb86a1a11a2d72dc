"""Differences of cases as independent units: cases that share a group are one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from shiftright.stats import mean_interval

Array = NDArray[np.float64]


class UnitMeans:
    """Case differences in [-1, 1] summed by unit, shape (units,).

    Sums over the largest unit's size keep the case-weighted mean and the bounds, whatever the dependence within a unit
    (statistics.md, section a).
    """

    def __init__(self, sums: Array, sizes: Array) -> None:
        self.sums, self.sizes = sums, sizes

    @classmethod
    def of(cls, differences: Sequence[float], units: Sequence[Hashable]) -> UnitMeans:
        """``units``, same length as ``differences``, names each case's unit."""
        places: dict[Hashable, int] = {}
        at = np.array([places.setdefault(unit, len(places)) for unit in units], np.intp)
        sums = np.bincount(at, np.asarray(differences, np.float64), len(places)).astype(np.float64)
        return cls(sums, np.bincount(at, minlength=len(places)).astype(np.float64))

    def __len__(self) -> int:
        return self.sums.size

    @property
    def cases(self) -> int:
        return int(self.sizes.sum())

    @property
    def largest(self) -> int:
        return int(self.sizes.max())

    @property
    def mean_size(self) -> float:
        return float(self.sizes.mean())

    @property
    def mean(self) -> float:
        """Mean over cases."""
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def variance(self) -> float:
        """Of one unit's contribution, scaled so that the mean's variance is this over the number of units."""
        residuals = (self.sums - self.mean * self.sizes) / self.mean_size
        return float(residuals @ residuals) / len(self)

    @property
    def standard_error(self) -> float:
        return sqrt(self.variance / len(self))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Anytime-valid, of the mean over cases."""
        scale = self.largest / self.mean_size
        low, high = mean_interval(self.sums / self.largest, level, low=-1.0, high=1.0)
        return max(low * scale, -1.0), min(high * scale, 1.0)

    def evidence_of_loss(self) -> float:
        """An e-value against "the mean is 0 or more", the same in any order of the units.

        An average over bets b of prod(1 - b x): an e-value for every law on [-1, 1] (Waudby-Smith & Ramdas 2024,
        section 4). Clipped, so that it stays finite.
        """
        x = self.sums / self.largest
        logs = np.log1p(-np.outer(_BETS, x)).sum(axis=1)
        return float(np.exp(np.minimum(logs, 600.0)).mean())


_BETS = np.array([0.03, 0.06, 0.12, 0.25, 0.5, 0.9])
