"""One e-process against one null, in plain floats: the one tight loop that runs per increment."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt

GAPS = (1.0, 2.0, 4.0)  # planned gaps, in units of (good - bad)
PRIOR = (0.5, 0.3, 0.2)  # their weights
STAR = 0.6  # share of the wealth that aims at the cap; more buys power at the cap and costs calls
HUGE = 1e300  # wealth is clipped here: e-values stay finite, and clipping down keeps them valid

State = tuple[float, float, float, float, float, int]


class Wealth:
    """Evidence that the mean lies beyond ``null`` on the side ``sign``: an average of e-processes, hence one.

    Part tilt-Kelly: three constant bets, which the owner refreshes with ``aim``. Part STaR (Voracek &
    Orabona 2025, 2505.22422): at every increment, the bet it takes to earn by the cap what the goal still
    lacks. Without a cap, tilt-Kelly alone.
    """

    def __init__(self, *, null: float, sign: float, error: float, cap: int | None) -> None:
        self.null, self.sign, self.cap = null, sign, cap
        self.goal = min(1.0 / error, HUGE)
        self.bets: Sequence[float] = (0.0, 0.0, 0.0)
        self.ceiling = 0.0
        self._variance, self._skew = 0.0, 1.0
        self.n = 0
        self.peak = 1.0
        self._k1 = self._k2 = self._k3 = self._star = 1.0

    def aim(self, bets: Sequence[float], variance: float, gap: float) -> None:
        """New bets: tilt-Kelly's own, and what STaR needs: the variance, and how the law departs from a normal one.

        STaR's formula is a normal law's Kelly bet, gain / (variance + gain^2). On skewed metrics (cost, service levels)
        it is scaled by what the law itself says at the planned gap.
        """
        self.bets = bets
        self._variance = variance
        self._skew = bets[0] * (variance + gap * gap) / gap

    @property
    def state(self) -> State:
        return self._k1, self._k2, self._k3, self._star, self.peak, self.n

    @state.setter
    def state(self, state: State) -> None:
        self._k1, self._k2, self._k3, self._star, self.peak, self.n = state

    def run(self, xs: Sequence[float], *, stop: bool = True) -> int:
        """Use increments in order, up to and including the first at which the goal is reached; how many
        were used.
        """
        k1, k2, k3, star, peak, n = self.state
        b1, b2, b3 = self.bets
        p1, p2, p3 = PRIOR
        null, sign, goal, cap = self.null, self.sign, self.goal, self.cap
        doubled, ceiling, skew = 2.0 * self._variance, self.ceiling, self._skew
        share = 0.0 if cap is None else STAR
        kelly = p1 * k1 + p2 * k2 + p3 * k3
        used = 0
        for x in xs:
            gain = sign * (x - null)
            if cap is not None and n < cap:
                lacking = (goal - (1.0 - share) * kelly) / share
                if 0.0 < star < lacking:
                    square = doubled * log(lacking / star) / (cap - n)
                    bet = skew * sqrt(square) / (0.5 * doubled + square + 1e-300)
                    star *= 1.0 + (bet if bet < ceiling else ceiling) * gain
            k1 *= 1.0 + b1 * gain
            k2 *= 1.0 + b2 * gain
            k3 *= 1.0 + b3 * gain
            n += 1
            used += 1
            kelly = p1 * k1 + p2 * k2 + p3 * k3
            value = (1.0 - share) * kelly + share * star
            if value > peak:
                if value > HUGE:
                    k1, k2, k3, star = min(k1, HUGE), min(k2, HUGE), min(k3, HUGE), min(star, HUGE)
                    kelly = p1 * k1 + p2 * k2 + p3 * k3
                    value = HUGE
                peak = value
                if stop and peak >= goal:
                    break
        self.state = (k1, k2, k3, star, peak, n)
        return used
