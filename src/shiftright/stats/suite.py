"""Would the full run on *these* N cases fail? Drawn without replacement, so always decided by case N."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats import _inputs
from shiftright.stats._bets import Array, KellyBets, PastLaw, expectation, largest_bet, planned_means
from shiftright.stats._schedule import next_refresh
from shiftright.stats._wealth import GAPS, HUGE, Wealth
from shiftright.stats.boundary import Decision
from shiftright.stats.confidence import search


class SuiteTest:
    """The verdict of the full run on N cases, usually long before case N. It says nothing about other cases.

    Cases must come in random order. If the mean over the N cases is ``bad``, the next increment has
    conditional mean (N bad - sum so far) / (N - n); betting against that gives P(ship | mean of the N <=
    bad) <= alpha, and likewise for ``good`` and beta. At case N, or as soon as the rest cannot matter:
    "ship" if the mean is above bad, else "block".

    ``control``: shape (N,), a score of every case known beforehand (the cached baseline), in the order of
    the run. Less its mean over the cases still to come it has mean zero exactly, so it lowers the variance
    and costs no validity. The whole cache may be used: the N cases are the population. ``planning`` and
    errors as in ``BoundaryTest``. Source: Waudby-Smith & Ramdas 2020 (2006.04347); Shekhar et al. 2023
    (2305.06884) for control variates.
    """

    label = "suite"

    def __init__(
        self,
        *,
        cases: int,
        bad: float,
        good: float,
        low: float,
        high: float,
        alpha: float = 0.05,
        beta: float = 0.20,
        cap: int | None = None,
        planning: ArrayLike | None = None,
        control: ArrayLike | None = None,
    ) -> None:
        self.low, self.bad, self.good, self.high = _inputs.boundaries(low, bad, good, high)
        self.cases = _inputs.size("cases", cases) or 1
        self.alpha, self.beta = _inputs.probability("alpha", alpha), _inputs.probability("beta", beta)
        self.cap = min(_inputs.size("cap", cap) or self.cases, self.cases)
        sample = None if planning is None else np.array(_inputs.increments(planning, self.low, self.high))
        self._control = _controls(control, self.cases)
        self._slope = 0.0
        self._law = PastLaw(self.low, self.high, (self.bad + self.good) / 2.0, sample)
        self._ship = Wealth(null=self.bad, sign=1.0, error=self.alpha, cap=self.cap)
        self._block = Wealth(null=self.good, sign=-1.0, error=self.beta, cap=self.cap)
        self._regression = Wealth(null=self.bad, sign=-1.0, error=self.alpha, cap=None)
        self._planned: list[list[float]] = [[0.0] * 3] * 3
        self._past: list[float] = []
        self._sum = 0.0
        self._refresh_at = 0
        self._decision: Decision | None = None

    def update(self, x: ArrayLike) -> Decision | None:
        """Use increments in the order of the run; semantics as ``BoundaryTest.update``."""
        for value in _inputs.increments(x, self.low, self.high):
            if self._decision is not None:
                break
            self._use(value)
        return self._decision

    def _use(self, x: float) -> None:
        n = len(self._past)
        left = self.cases - n
        bad, good = self._next_mean(self.bad, left), self._next_mean(self.good, left)
        if n == self._refresh_at:
            self._refresh(n, bad, good)
        centred, floor, ceiling = self._adjustment(n)
        for wealth, null, planned in zip(
            (self._ship, self._block, self._regression), (bad, good, bad), self._planned, strict=True
        ):
            room = null - floor if wealth.sign > 0 else ceiling - null
            if not self.low <= null <= self.high:
                continue  # the rest cannot reach this mean any more: keep the evidence, bet no further
            wealth.null, wealth.ceiling = null, largest_bet(room, ceiling - floor)
            wealth.bets = [min(bet, wealth.ceiling) for bet in planned]
            wealth.run([x - centred], stop=False)
        self._law.observe([x])
        self._past.append(x)
        self._sum += x
        self._decide(left - 1)

    def _next_mean(self, mean: float, left: int) -> float:
        return (self.cases * mean - self._sum) / left

    def _decide(self, left: int) -> None:
        worst, best = self._sum + left * self.low, self._sum + left * self.high
        if worst > self.cases * self.bad + 1e-9:
            self._ship.peak = HUGE
            self._decision = "ship"
        elif best <= self.cases * self.bad + 1e-9:
            self._block.peak = HUGE
            self._decision = "block"
        elif self._block.peak >= self._block.goal:
            self._decision = "block"
        elif self._ship.peak >= self._ship.goal:
            self._decision = "ship"
        elif len(self._past) >= self.cap:
            self._decision = "inconclusive"

    def _adjustment(self, n: int) -> tuple[float, float, float]:
        """What to subtract from the next increment, and the range then: known before it is drawn."""
        if self._control is None or self._slope == 0.0:
            return 0.0, self.low, self.high
        rest = self._control[n:]
        mean, slope = float(rest.mean()), self._slope
        shifts = slope * (float(rest.min()) - mean), slope * (float(rest.max()) - mean)
        return slope * (float(rest[0]) - mean), self.low - max(shifts), self.high - min(shifts)

    def _refresh(self, n: int, bad: float, good: float) -> None:
        """New slope and bets from the past and the means the next increments have under each hypothesis."""
        if self._control is not None and n > 1:
            seen = self._control[:n] - self._control[:n].mean()
            self._slope = expectation(seen, np.array(self._past)) / (expectation(seen, seen) + 1.0)
        values, weights = self._law.summary()
        variance = expectation(weights, (values - expectation(weights, values)) ** 2)
        explained = 0.0
        if self._control is not None:
            explained = min(self._slope**2 * float(self._control.var()) / (variance + 1e-300), 0.9)
        gap = max(good - bad, 1e-9)
        width = self.high - self.low
        nulls = [min(max(null, self.low), self.high) for null in (bad, good, bad)]
        kelly = KellyBets(
            [null for null in nulls for _ in GAPS],
            planned_means(nulls[0], gap, 1.0, self.high, GAPS)
            + planned_means(nulls[1], gap, -1.0, self.low, GAPS)
            + planned_means(nulls[2], gap, -1.0, self.low, GAPS),
            [1.0] * 3 + [-1.0] * 6,
        )
        rooms = (nulls[0] - self.low, self.high - nulls[1], self.high - nulls[2])
        largest: Array = np.repeat([largest_bet(room, width) for room in rooms], 3)
        bets = [bet / (1.0 - explained) for bet in kelly.refresh(values, weights, largest)]
        self._planned = [bets[:3], bets[3:6], bets[6:]]
        for wealth, row in zip((self._ship, self._block, self._regression), self._planned, strict=True):
            wealth.aim(row, variance * (1.0 - explained), gap)
        self._refresh_at = next_refresh(n)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Anytime-valid confidence sequence for the mean over the N cases; a point at case N, (low, high)
        at n = 0.
        """
        _inputs.probability("level", level)
        if not self._past:
            return self.low, self.high
        past = np.array(self._past)
        left = self.cases - past.size
        ends = (self._sum + left * self.low) / self.cases, (self._sum + left * self.high) / self.cases
        before = np.concatenate(([0.0], np.cumsum(past)[:-1]))
        remaining = self.cases - np.arange(past.size)
        return search(
            past,
            np.ones_like(past),
            level,
            self.low,
            self.high,
            ends,
            lambda mean: (self.cases * mean - before) / remaining,
        )

    @property
    def decision(self) -> Decision | None:
        """The first crossing, or None while the test goes on."""
        return self._decision

    @property
    def n(self) -> int:
        """Increments used."""
        return len(self._past)

    @property
    def mean(self) -> float | None:
        """Mean of the increments used; None before the first."""
        return self._sum / len(self._past) if self._past else None

    @property
    def e_ship(self) -> float:
        """Largest evidence so far against "the mean of the N is <= bad"."""
        return self._ship.peak

    @property
    def e_block(self) -> float:
        """Largest evidence so far against "the mean of the N is >= good"."""
        return self._block.peak

    @property
    def e_regression(self) -> float:
        """Largest evidence so far against "the mean of the N is >= bad"."""
        return self._regression.peak


def _controls(control: ArrayLike | None, cases: int) -> Array | None:
    if control is None:
        return None
    values = np.asarray(control, np.float64)
    if values.shape != (cases,) or not np.isfinite(values).all():
        raise ValueError(
            f"control must hold one finite number for each of the {cases} cases, got shape {values.shape}"
        )
    return values
