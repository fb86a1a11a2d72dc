"""Has a live metric fallen below its accepted level? An alarm whose false ones are guaranteed rare."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats import _inputs
from shiftright.stats._bets import KellyBets, PastLaw, largest_bet, planned_means
from shiftright.stats._schedule import next_refresh

_GAPS = (0.02, 0.05, 0.1, 0.2)  # falls planned for, as shares of (high - low)


class DriftDetector:
    """Shiryaev-Roberts e-detector: R_k <- (R_k + 1)(1 + lam_k (level - x)), alarm when mean_k R_k >=
    false_alarm_every.

    While every conditional mean is at least ``level``, at least ``false_alarm_every`` observations pass, on
    average, before a false alarm; nothing else is assumed. ``level`` is the accepted level already net of
    tolerance, not the historical mean. After an alarm the statistic restarts at 0. Bets come from earlier
    observations only.

    Errors: ValueError unless low < level <= high and false_alarm_every > 1; NaN or a value outside [low,
    high] is refused with nothing used. Source: Shin, Ramdas & Rinaldo, New England J. Statist. Data Sci.
    2023 (2203.03532).
    """

    def __init__(self, *, level: float, low: float, high: float, false_alarm_every: float) -> None:
        if not -inf < low < level <= high < inf:
            raise ValueError(f"need low < level <= high, got low={low}, level={level}, high={high}")
        if not 1.0 < false_alarm_every < inf:
            raise ValueError(f"false_alarm_every must be a number above 1, got {false_alarm_every}")
        self.level, self.low, self.high = float(level), float(low), float(high)
        self.false_alarm_every = float(false_alarm_every)
        width = self.high - self.low
        self._law = PastLaw(self.low, self.high, self.level, None)
        means = planned_means(self.level, width, -1.0, self.low, _GAPS)
        self._kelly = KellyBets([self.level] * len(_GAPS), means, [-1.0] * len(_GAPS))
        self._largest = np.full(len(_GAPS), largest_bet(self.high - self.level, width))
        self._bets: list[float] = []
        self._sums = [0.0] * len(_GAPS)
        self._n = self._alarms = self._refresh_at = 0

    def update(self, x: ArrayLike) -> bool:
        """One observation, or a 1-D array in arrival order; True if it raised an alarm."""
        before = self._alarms
        for value in _inputs.increments(x, self.low, self.high):
            if self._n == self._refresh_at:
                self._bets = self._kelly.refresh(*self._law.summary(), self._largest)
                self._refresh_at = next_refresh(self._n)
            fall = self.level - value
            self._sums = [
                (r + 1.0) * (1.0 + bet * fall) for r, bet in zip(self._sums, self._bets, strict=True)
            ]
            self._law.observe([value])
            self._n += 1
            if self.statistic >= self.false_alarm_every:
                self._alarms += 1
                self._sums = [0.0] * len(_GAPS)
        return self._alarms > before

    @property
    def statistic(self) -> float:
        """mean_k R_k: 0 at the start and after an alarm."""
        return sum(self._sums) / len(self._sums)

    @property
    def n(self) -> int:
        """Observations used."""
        return self._n

    @property
    def alarms(self) -> int:
        """Alarms so far."""
        return self._alarms
