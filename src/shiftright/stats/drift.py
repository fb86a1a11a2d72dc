"""Has a live metric fallen below its accepted level? An alarm whose false ones are guaranteed rare."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats import _inputs
from shiftright.stats._bets import KellyBets, PastLaw, largest_bet, planned_means
from shiftright.stats._schedule import next_block

_GAPS = (0.02, 0.05, 0.1, 0.2)  # falls planned for, as shares of (high - low)
_MEMORY = 1000.0  # observations that the planned law remembers


class DriftDetector:
    """Shiryaev-Roberts e-detector: R_k <- (R_k + 1)(1 + bet_k (level - x)), alarm when mean_k R_k >=
    false_alarm_every.

    While every conditional mean is at least ``level``, at least ``false_alarm_every`` observations pass, on average,
    before a false alarm; nothing else is assumed. ``level`` is the accepted level already net of tolerance, not the
    historical mean. After an alarm the statistic restarts at 0. Bets come from earlier observations only.

    Errors: ValueError unless low < level <= high and false_alarm_every > 1. Source: Shin, Ramdas & Rinaldo, New England
    J. Statist. Data Sci. 2023 (2203.03532), definition 2.3 and theorem 2.4.
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
        self._sums = [0.0] * len(_GAPS)
        self._runs = [1.0] * len(
            _GAPS
        )  # CUSUM of the same factors: they tell when the fall began, not whether
        self._starts = [0] * len(_GAPS)
        self._n = self._alarms = self._restarted_at = 0
        self._changed_at: int | None = None
        self._begin()

    def update(self, x: ArrayLike) -> bool:
        """One observation, or a 1-D array in arrival order; True if it raised an alarm (an array goes on after one).

        ValueError, with nothing used, on NaN or a value outside [low, high] (tolerance 1e-9).
        """
        before = self._alarms
        xs = _inputs.increments(x, self.low, self.high)
        start, end = 0, len(xs)
        while start < end:
            if self._n == self._refresh_at:
                self._law.observe(self._pending)
                self._law.fade(_MEMORY)
                self._begin()
            block = xs[start : start + self._refresh_at - self._n]
            self._advance(block)
            start += len(block)
        return self._alarms > before

    def _advance(self, xs: list[float]) -> None:
        """Use observations for which bets are planned."""
        level, bets, sums, runs, starts = self.level, self._bets, self._sums, self._runs, self._starts
        goal, n = self.false_alarm_every * len(_GAPS), self._n
        for x in xs:
            fall = level - x
            factors = [1.0 + bet * fall for bet in bets]
            sums = [(r + 1.0) * f for r, f in zip(sums, factors, strict=True)]
            for k, f in enumerate(factors):
                run = runs[k] * f
                if run <= 1.0:
                    run, starts[k] = 1.0, n + 1
                runs[k] = run
            n += 1
            if sum(sums) >= goal:
                self._alarms += 1
                self._changed_at = starts[sums.index(max(sums))]
                self._restarted_at = n
                sums, runs, starts = [0.0] * len(_GAPS), [1.0] * len(_GAPS), [n] * len(_GAPS)
        self._sums, self._runs, self._starts, self._n = sums, runs, starts, n
        self._pending += xs

    def _begin(self) -> None:
        """Start a block: bets from the past alone. A stored detector is restored by planning it again and feeding its
        few observations.
        """
        self._kelly.forget()
        self._bets = self._kelly.refresh(*self._law.summary(), self._largest)
        self._refresh_at = next_block(self._n)
        self._pending: list[float] = []
        self._at_start = {
            "n": self._n,
            "alarms": self._alarms,
            "restarted_at": self._restarted_at,
            "changed_at": self._changed_at,
            "sums": list(self._sums),
            "runs": list(self._runs),
            "starts": list(self._starts),
        }

    def state(self) -> dict[str, Any]:
        """All that ``from_state`` needs to go on exactly where this detector stands, as JSON can hold it."""
        return {
            "level": self.level,
            "low": self.low,
            "high": self.high,
            "false_alarm_every": self.false_alarm_every,
            **self._at_start,
            "law": [list(pair) for pair in self._law.masses],
            "pending": list(self._pending),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> DriftDetector:
        """The detector that ``state`` was taken from, exactly. ValueError if it is none."""
        names = ("level", "low", "high", "false_alarm_every")
        try:
            detector = cls(**{name: state[name] for name in names})
            detector._law.masses = [(float(value), float(mass)) for value, mass in state["law"]]
            detector._n, detector._alarms = int(state["n"]), int(state["alarms"])
            detector._restarted_at, changed = int(state["restarted_at"]), state["changed_at"]
            detector._changed_at = None if changed is None else int(changed)
            detector._sums, detector._runs = list(map(float, state["sums"])), list(map(float, state["runs"]))
            detector._starts = list(map(int, state["starts"]))
            pending = [float(x) for x in state["pending"]]
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the state of a DriftDetector: {error!r}") from error
        detector._begin()
        detector._advance(pending)
        return detector

    @property
    def statistic(self) -> float:
        """mean_k R_k, against the threshold ``false_alarm_every``: 0 at the start and after an alarm."""
        return sum(self._sums) / len(self._sums)

    @property
    def n(self) -> int:
        """Observations used."""
        return self._n

    @property
    def alarms(self) -> int:
        """Alarms so far."""
        return self._alarms

    @property
    def since_alarm(self) -> int:
        """Observations since the last alarm, or since the start."""
        return self._n - self._restarted_at

    @property
    def changed_at(self) -> int | None:
        """Of the last alarm: observations that had passed when the fall is estimated to have begun (the start of the
        last upward run of the likelihood); None before the first alarm.
        """
        return self._changed_at
