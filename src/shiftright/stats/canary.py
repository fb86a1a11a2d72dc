"""A canary on live traffic: promote, roll back or go on, after every unit, at stated error rates."""

from __future__ import annotations

from array import array
from math import exp, inf, log
from typing import Literal

import numpy as np

from shiftright.stats import _inputs
from shiftright.stats._bets import Array, KellyBets, PastLaw, expectation, largest_bet, planned_means
from shiftright.stats._schedule import next_refresh
from shiftright.stats._wealth import GAPS, HUGE, Wealth
from shiftright.stats.confidence import search
from shiftright.stats.planning import fixed_size

CanaryDecision = Literal["promote", "rollback", "inconclusive"]
_DRIFT = 0.1  # relative change of the assignment probability that calls for new bets


class CanaryTest:
    """Is the canary worse than the control by ``margin`` or more? One unit (user, conversation) at a time.

    The increment of a unit is its augmented inverse-probability-weighted outcome, ``A (y - m) / p - (1 -
    A)(y - m) / (1 - p)``, m the mean outcome of earlier units: its conditional mean is the effect (canary
    minus control) by randomisation alone, under drift, seasons and ramps. *promote*: effect <= -margin is
    rejected at alpha. *rollback*: effect >= -margin is rejected at alpha, with bets planned at an effect of
    -rollback_if_worse_by. Both errors hold over the whole canary. ``cap``: units at most, then
    *inconclusive*; None never says so. ``beta`` sets only the planned size.

    Errors: ValueError unless 0 < margin < rollback_if_worse_by <= high - low; the units' values are checked
    likewise. Source: Waudby-Smith & Ramdas 2024; AIPW: Robins, Rotnitzky & Zhao 1994.
    """

    def __init__(
        self,
        *,
        margin: float,
        rollback_if_worse_by: float,
        low: float,
        high: float,
        alpha: float = 0.05,
        beta: float = 0.20,
        cap: int | None = None,
    ) -> None:
        width = high - low
        if not 0.0 < margin < rollback_if_worse_by <= width < inf:
            raise ValueError(
                f"need 0 < margin < rollback_if_worse_by <= high - low = {width}, "
                f"got {margin} and {rollback_if_worse_by}"
            )
        self.margin, self.low, self.high = float(margin), float(low), float(high)
        self.alpha, self.beta = _inputs.probability("alpha", alpha), _inputs.probability("beta", beta)
        self.cap = _inputs.size("cap", cap)
        self._width = float(width)
        self._law = PastLaw(self.low, self.high, (self.low + self.high) / 2.0, None)
        self._promote = Wealth(null=-self.margin, sign=1.0, error=self.alpha, cap=self.cap)
        self._rollback = Wealth(null=-self.margin, sign=-1.0, error=self.alpha, cap=None)
        self._kelly = KellyBets(
            nulls=[-self.margin] * 6,
            means=planned_means(-self.margin, self.margin, 1.0, self._width, GAPS)
            + planned_means(-self.margin, rollback_if_worse_by - self.margin, -1.0, -self._width, GAPS),
            signs=[1.0] * 3 + [-1.0] * 3,
        )
        self._outcomes = (self.low + self.high) / 2.0
        self._past, self._reach = array("d"), array("d")
        self._refresh_at, self._refreshed_for = 0, 0.0
        self._decision: CanaryDecision | None = None

    def update(self, y: float, *, canary: bool, probability: float) -> CanaryDecision | None:
        """One unit whose outcome window has closed: its outcome, its arm, and P(canary) it was assigned with.

        Returns the decision or None: go on. A decision is absorbing. ValueError, with nothing used, on an
        outcome outside [low, high] or a probability outside (0, 1).
        """
        (y,) = _inputs.increments(float(y), self.low, self.high)
        p = _inputs.probability("probability", probability)
        if self._decision is not None:
            return self._decision
        n = len(self._past)
        centre = self._outcomes / (n + 1)
        scarce = p if p <= 0.5 else p - 1.0  # the rarer arm's probability, signed by which arm it is
        if n == self._refresh_at or abs(scarce - self._refreshed_for) > _DRIFT * abs(self._refreshed_for):
            self._refresh(n, p, scarce, centre)
        x = (y - centre) / p if canary else (centre - y) / (1.0 - p)
        self._rollback.run([x])
        self._promote.run([x])
        self._law.observe([y])
        self._outcomes += y
        self._past.append(x)
        self._reach.append(self._width / abs(scarce))
        if self._rollback.peak >= self._rollback.goal:
            self._decision = "rollback"
        elif self._promote.peak >= self._promote.goal:
            self._decision = "promote"
        elif self.cap is not None and len(self._past) >= self.cap:
            self._decision = "inconclusive"
        return self._decision

    def _refresh(self, n: int, p: float, scarce: float, centre: float) -> None:
        """Bets for units assigned with about p; legal for every p that does not call for a refresh."""
        if n != self._refresh_at:
            self._kelly.forget()
        values, weights = self._increment_law(p, centre)
        reach = self._width / ((1.0 - _DRIFT) * abs(scarce))
        above, below = largest_bet(reach - self.margin, reach), largest_bet(reach + self.margin, reach)
        bets = self._kelly.refresh(values, weights, np.array([above] * 3 + [below] * 3))
        variance = expectation(weights, values**2)
        self._promote.ceiling = above
        self._promote.aim(bets[:3], variance, self.margin)
        self._rollback.aim(bets[3:], variance, self.margin)
        self._refresh_at = next_refresh(n)
        self._refreshed_for = scarce

    def _increment_law(self, p: float, centre: float) -> tuple[Array, Array]:
        outcomes, weights = self._law.summary()
        residuals = outcomes - centre
        values = np.concatenate((residuals / p, -residuals / (1.0 - p)))
        return values, np.concatenate((p * weights, (1.0 - p) * weights))

    def planned_size(self, probability: float) -> int:
        """Units a fixed-size test of the same errors would need at this P(canary), from the outcomes seen
        so far.
        """
        p = _inputs.probability("probability", probability)
        values, weights = self._increment_law(p, self._outcomes / (self.n + 1))
        return fixed_size(expectation(weights, values**2), self.margin, alpha=self.alpha, beta=self.beta)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Anytime-valid confidence sequence for the effect, canary minus control; (low - high, high - low)
        at n = 0.
        """
        _inputs.probability("level", level)
        ends = (-self._width, self._width)
        if not self._past:
            return ends
        past, reach = np.array(self._past), np.array(self._reach)
        return search(past, np.ones_like(past), level, -reach, reach, ends, lambda effect: effect)

    @property
    def decision(self) -> CanaryDecision | None:
        """The first crossing, or None while the canary goes on."""
        return self._decision

    @property
    def n(self) -> int:
        """Units used."""
        return len(self._past)

    @property
    def effect(self) -> float | None:
        """Unbiased estimate of canary minus control; None before the first unit."""
        return float(np.mean(self._past)) if self._past else None

    @property
    def e_promote(self) -> float:
        """Largest evidence so far against effect <= -margin."""
        return self._promote.peak

    @property
    def e_rollback(self) -> float:
        """Largest evidence so far against effect >= -margin."""
        return self._rollback.peak


class AssignmentTest:
    """Sample-ratio check beside a canary: do units arrive in the arms with the logged probabilities?

    A mixture, over shifts of the log-odds, of likelihood ratios of the assignments: a martingale when they
    do, so P(ever alarm | assignment as logged) <= alpha. An alarm voids the canary. ``probability`` may
    change per unit. Source: Lindon & Malek 2022 (2011.03567), with a discrete prior so that ramps are
    allowed.
    """

    _SHIFTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

    def __init__(self, *, alpha: float = 0.001) -> None:
        self.alpha = _inputs.probability("alpha", alpha)
        self._odds = [exp(sign * shift) for shift in self._SHIFTS for sign in (1.0, -1.0)]
        self._logs = [0.0] * len(self._odds)
        self._peak, self._n = 1.0, 0

    def update(self, canary: bool, probability: float) -> bool:
        """One assigned unit; True once (and ever after) the assignment is proven not to be as logged."""
        p = _inputs.probability("probability", probability)
        self._n += 1
        for k, odds in enumerate(self._odds):
            self._logs[k] += (log(odds) if canary else 0.0) - log(1.0 - p + p * odds)
        top = max(self._logs)
        mixed = top + log(sum(exp(value - top) for value in self._logs) / len(self._logs))
        self._peak = max(self._peak, HUGE if mixed > log(HUGE) else exp(mixed))
        return self.alarm

    @property
    def alarm(self) -> bool:
        return self._peak >= 1.0 / self.alpha

    @property
    def n(self) -> int:
        return self._n

    @property
    def p_value(self) -> float:
        """Anytime p-value: min(1, 1 / largest e-value)."""
        return min(1.0, 1.0 / self._peak)
