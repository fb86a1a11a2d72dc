"""The primitive under every gate: is the mean of a bounded stream at most ``bad``, or at least ``good``?"""

from __future__ import annotations

from array import array
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats import _inputs
from shiftright.stats._bets import Array, KellyBets, PastLaw, expectation, largest_bet, planned_means
from shiftright.stats._schedule import next_refresh
from shiftright.stats._wealth import GAPS, Wealth
from shiftright.stats.confidence import interval

Decision = Literal["ship", "block", "inconclusive"]


class BoundaryTest:
    """Ship, block or go on, after every increment, at stated error rates: the indifference-zone betting test.

    ``ship`` once the e-process against ``mean <= bad`` reaches 1/alpha, ``block`` once the one against
    ``mean >= good`` reaches 1/beta, ``inconclusive`` at the cap. P(ever ship | mean <= bad) <= alpha and
    P(ever block | mean >= good) <= beta for every law on [low, high] and any stopping rule (Ville 1939);
    only E[x | past] is restricted, so increments need not be independent. Between the two boundaries either
    answer is right.

    ``planning``: 1-D increments of *other* cases (an earlier decision, a split, the development set), or
    None. It shapes the bets, hence the cost; using cases of this very run would void the guarantee.
    ``cap``: increments at most.

    Errors: ValueError unless low <= bad < good <= high, error rates lie in (0, 1) and every number is finite.
    Source: Waudby-Smith & Ramdas 2024 (2010.09686); Voracek & Orabona 2025 (2505.22422) for the capped half.
    """

    def __init__(
        self,
        *,
        bad: float,
        good: float,
        low: float,
        high: float,
        alpha: float = 0.05,
        beta: float = 0.20,
        cap: int | None = None,
        planning: ArrayLike | None = None,
    ) -> None:
        low, bad, good, high = _inputs.boundaries(low, bad, good, high)
        self.bad, self.good, self.low, self.high = bad, good, low, high
        self.alpha = _inputs.probability("alpha", alpha)
        self.beta = _inputs.probability("beta", beta)
        self._cap = _inputs.size("cap", cap)
        sample = None if planning is None else np.array(_inputs.increments(planning, low, high))
        self._law = PastLaw(low, high, (bad + good) / 2.0, sample)
        self._ship = Wealth(null=bad, sign=1.0, error=self.alpha, cap=self._cap)
        self._block = Wealth(null=good, sign=-1.0, error=self.beta, cap=self._cap)
        self._regression = Wealth(null=bad, sign=-1.0, error=self.alpha, cap=None)
        gap = good - bad
        self._kelly = KellyBets(
            nulls=[bad] * 3 + [good] * 3 + [bad] * 3,
            means=planned_means(bad, gap, 1.0, high, GAPS)
            + planned_means(good, gap, -1.0, low, GAPS)
            + planned_means(bad, gap, -1.0, low, GAPS),
            signs=[1.0] * 3 + [-1.0] * 6,
        )
        width = high - low
        rooms = (bad - low, high - good, high - bad)
        self._largest: Array = np.repeat([largest_bet(room, width) for room in rooms], 3)
        self._ship.ceiling, self._block.ceiling = float(self._largest[0]), float(self._largest[3])
        self._past = array("d")
        self._refresh_at = 0
        self._decision: Decision | None = None

    def update(self, x: ArrayLike) -> Decision | None:
        """Use one increment or a 1-D array of them in arrival order; the decision, or None: go on.

        The first crossing is absorbing: what comes after it, even in the same array, is not used. Feeding
        an array equals feeding its values one by one, exactly. ValueError on NaN or a value outside [low,
        high] (tolerance 1e-9); then nothing of the array has been used.
        """
        xs = _inputs.increments(x, self.low, self.high)
        start, end = 0, len(xs)
        while start < end and self._decision is None:
            n = len(self._past)
            if n == self._refresh_at:
                self._refresh(n)
            stop = self._refresh_at if self._cap is None else min(self._refresh_at, self._cap)
            start += self._advance(xs[start : start + stop - n])
        return self._decision

    def _advance(self, xs: list[float]) -> int:
        """Run the processes over increments for which bets are fixed, until one crosses; how many were used."""
        before = self._block.state
        used = self._block.run(xs)
        shipped_at = self._ship.run(xs[:used])
        if shipped_at < used:
            used = shipped_at
            self._block.state = before
            self._block.run(xs[:used])
        xs = xs[:used]
        self._regression.run(xs, stop=False)
        self._law.observe(xs)
        self._past.extend(xs)
        if self._block.peak >= self._block.goal:
            self._decision = "block"
        elif self._ship.peak >= self._ship.goal:
            self._decision = "ship"
        elif self._cap is not None and len(self._past) >= self._cap:
            self._decision = "inconclusive"
        return used

    def _refresh(self, n: int) -> None:
        """New bets, from the past alone."""
        values, weights = self._law.summary()
        bets = self._kelly.refresh(values, weights, self._largest)
        variance = expectation(weights, (values - expectation(weights, values)) ** 2)
        gap = self.good - self.bad
        for wealth, row in ((self._ship, 0), (self._block, 3), (self._regression, 6)):
            wealth.aim(bets[row : row + 3], variance, gap)
        self._refresh_at = next_refresh(n)

    def raise_cap(self, cap: int) -> None:
        """Allow more increments: wealth is kept, later bets aim at the new cap, ``inconclusive`` is reopened.

        A ship or block stays. To replay a run, raise the cap after the same increment: bets made before it
        must not know of it. ValueError unless the test has a cap and the new one is at least as large.
        """
        new = _inputs.size("cap", cap)
        if self._cap is None or new is None or new < self._cap:
            raise ValueError(f"the cap can only be raised: it is {self._cap}, asked for {cap}")
        if self._decision == "inconclusive" and new > self._cap:
            self._decision = None
        self._cap = self._ship.cap = self._block.cap = new

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """A two-sided anytime-valid confidence sequence for the mean, from the n increments used; (low,
        high) at n = 0.

        Its bets are its own: independent of bad, good, alpha, beta, cap and the planning sample. Never empty.
        """
        _inputs.probability("level", level)
        return interval(np.array(self._past), level, low=self.low, high=self.high)

    @property
    def decision(self) -> Decision | None:
        """The first crossing, or None while the test goes on."""
        return self._decision

    @property
    def n(self) -> int:
        """Increments used."""
        return len(self._past)

    @property
    def cap(self) -> int | None:
        return self._cap

    @property
    def mean(self) -> float | None:
        """Mean of the increments used; None before the first."""
        return float(np.mean(self._past)) if self._past else None

    @property
    def e_ship(self) -> float:
        """Largest evidence so far against ``mean <= bad``; 1 is none, 1/alpha ships."""
        return self._ship.peak

    @property
    def e_block(self) -> float:
        """Largest evidence so far against ``mean >= good``; 1 is none, 1/beta blocks."""
        return self._block.peak

    @property
    def e_regression(self) -> float:
        """Largest evidence so far against ``mean >= bad``: at 1/alpha a block reads "provably below bad"."""
        return self._regression.peak

    @property
    def p_value(self) -> float:
        """Anytime p-value against ``mean <= bad``: min(1, 1 / e_ship)."""
        return min(1.0, 1.0 / self._ship.peak)

    @property
    def regressed(self) -> bool:
        """Is the mean proven to lie below ``bad`` itself, at alpha? A free third answer; it stops nothing."""
        return self._regression.peak >= self._regression.goal
