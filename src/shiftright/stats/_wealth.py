"""One e-process against one null, as plain floats in one tight loop: the only code that runs per increment."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt

GAPS = (1.0, 2.5, 6.0)  # planned gaps, in units of (good - bad)
PRIOR = (0.7, 0.2, 0.1)  # their weights
HUGE = 1e300  # wealth is clipped here: e-values stay finite, and clipping down keeps them valid

State = tuple[float, float, float, float, float, int]


class Wealth:
    """Bets that the mean lies beyond ``null`` on the side ``sign``; an average of e-processes, hence an e-process.

    Half tilt-Kelly (three constant bets, refreshed by the owner through ``bets``), half STaR (Voracek & Orabona 2025,
    2505.22422), which bets what it takes to arrive at the goal by the cap. Without a cap, tilt-Kelly alone.
    """

    __slots__ = ("_k1", "_k2", "_k3", "_star", "bets", "cap", "ceiling", "goal", "n", "null", "peak", "sign", "variance")

    def __init__(self, *, null: float, sign: float, error: float, cap: int | None) -> None:
        self.null, self.sign, self.cap = null, sign, cap
        self.goal = min(1.0 / error, HUGE)
        self.bets: Sequence[float] = (0.0, 0.0, 0.0)
        self.ceiling = 0.0
        self.variance = 0.0
        self.n = 0
        self.peak = 1.0
        self._k1 = self._k2 = self._k3 = self._star = 1.0

    @property
    def state(self) -> State:
        return self._k1, self._k2, self._k3, self._star, self.peak, self.n

    @state.setter
    def state(self, state: State) -> None:
        self._k1, self._k2, self._k3, self._star, self.peak, self.n = state

    def run(self, xs: Sequence[float], *, stop: bool = True) -> int:
        """Use increments in order, up to and including the first at which the goal is reached; how many were used."""
        k1, k2, k3, star, peak, n = self.state
        b1, b2, b3 = self.bets
        p1, p2, p3 = PRIOR
        null, sign, goal, cap = self.null, self.sign, self.goal, self.cap
        variance2, ceiling = 2.0 * self.variance, self.ceiling
        star_goal = 2.0 * goal
        used = 0
        for x in xs:
            gain = sign * (x - null)
            if cap is not None and 0.0 < star < star_goal and n < cap:
                square = variance2 * log(star_goal / star) / (cap - n)
                bet = sqrt(square) / (0.5 * variance2 + square + 1e-300)
                star *= 1.0 + (bet if bet < ceiling else ceiling) * gain
            k1 *= 1.0 + b1 * gain
            k2 *= 1.0 + b2 * gain
            k3 *= 1.0 + b3 * gain
            n += 1
            used += 1
            value = p1 * k1 + p2 * k2 + p3 * k3
            if cap is not None:
                value = 0.5 * (value + star)
            if value > peak:
                if value > HUGE:
                    k1, k2, k3, star = min(k1, HUGE), min(k2, HUGE), min(k3, HUGE), min(star, HUGE)
                    value = HUGE
                peak = value
                if stop and peak >= goal:
                    break
        self.state = (k1, k2, k3, star, peak, n)
        return used
