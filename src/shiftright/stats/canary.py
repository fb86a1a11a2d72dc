"""A canary on live traffic: promote, roll back or go on, after every unit, at stated error rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, log
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats import _inputs
from shiftright.stats._arms import PROMOTE_PRIOR, RESERVE, ROLLBACK_PRIOR, ArmBets, Factors, reserve_spent
from shiftright.stats._bets import Array, PastLaw
from shiftright.stats._schedule import next_block
from shiftright.stats._wealth import HUGE
from shiftright.stats.planning import fixed_size

CanaryDecision = Literal["promote", "rollback", "inconclusive"]

_MEMORY = 1000.0  # units that the planned law remembers: bets follow the day and the season
_SHRINK = 10.0  # units' worth of trust in the other arm's level before an arm has its own
_RATES = 0.9 * 0.5 ** np.arange(16)  # of the interval's mixture, in units of 1 / (high - low)

_Cell = tuple[Factors, Factors, float, float, list[float]]  # of one probability in one block: see _cell
_Evidence = tuple[float, float, float, float, float, float, float, float, float, float, float]


class CanaryTest:
    """Is the canary worse than the control by ``margin`` or more? One unit (user, conversation) at a time.

    *promote*: effect <= -margin is rejected at alpha, with bets planned above all for no effect. *rollback*: effect >=
    -margin is rejected at alpha, with bets planned for -rollback_if_worse_by and for much worse. So P(ever promote |
    effect <= -margin) <= alpha and P(ever roll back | effect >= -margin) <= alpha, whatever the outcomes' law on
    [low, high], drift, season or ramp: only the assignment must be random with the probability given, and each unit's
    expected effect, given the past, on the null's side. ``cap``: units at most, then *inconclusive*; None never says
    so. ``beta`` sets only the planned size.

    A unit multiplies each process by ``1 + bet * (x + margin)``, ``x = A (y - m) / p - (1 - A)(y - m) / (1 - p)``: the
    augmented inverse-probability-weighted increment, of conditional mean effect for every predictable centre ``m``.
    Bet and centre are chosen together for the unit's own p (``_arms``). A twentieth of the rollback stake is kept and
    put in little by little, so that a canary that was fine for long and then breaks is still taken back soon.

    Errors: ValueError unless 0 < margin < rollback_if_worse_by <= high - low, error rates lie in (0, 1), cap >= 1.
    Source: Waudby-Smith & Ramdas 2024 (2010.09686); AIPW: Robins, Rotnitzky & Zhao 1994.
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
        self.rollback_if_worse_by = float(rollback_if_worse_by)
        self.alpha, self.beta = _inputs.probability("alpha", alpha), _inputs.probability("beta", beta)
        self.cap = _inputs.size("cap", cap)
        self._goal = min(1.0 / self.alpha, HUGE)
        self._law = PastLaw(self.low, self.high, (self.low + self.high) / 2.0, None)
        self._bets = ArmBets(margin=self.margin, loss=self.rollback_if_worse_by, low=self.low, high=self.high)
        self._arms = [(0.0, 0.0), (0.0, 0.0)]  # (units, sum of outcomes) remembered: control, canary
        self._variances: Array = np.zeros((2, _RATES.size))
        stakes = [share * (1.0 - RESERVE) for share in ROLLBACK_PRIOR]
        p1, p2, p3 = PROMOTE_PRIOR
        self._evidence: _Evidence = (p1, p2, p3, stakes[0], stakes[1], stakes[2], RESERVE, 1.0, 1.0, 0.0, 0.0)
        self._n = 0
        self._decision: CanaryDecision | None = None
        self._begin()

    def update(self, y: ArrayLike, *, canary: ArrayLike, probability: ArrayLike) -> CanaryDecision | None:
        """One unit whose outcome window has closed (its outcome, its arm, the P(canary) it was assigned with), or 1-D
        arrays of them in order; ``probability`` may be one number for all. The decision, or None: go on.

        A decision is absorbing: later units are not used. Feeding arrays equals feeding unit by unit, exactly.
        ValueError, with nothing used, on NaN, an outcome outside [low, high] (tolerance 1e-9), a probability outside
        (0, 1), or arrays of different lengths.
        """
        ys = _inputs.increments(y, self.low, self.high)
        arms, chances = _inputs.arms(canary, probability, len(ys))
        start, end = 0, len(ys)
        while start < end and self._decision is None:
            if self._n == self._refresh_at:
                self._learn()
                self._begin()
            stop = self._refresh_at if self.cap is None else min(self._refresh_at, self.cap)
            until = start + stop - self._n
            start += self._advance(ys[start:until], arms[start:until], chances[start:until])
        return self._decision

    def _advance(self, ys: Sequence[float], arms: Sequence[bool], chances: Sequence[float]) -> int:
        """Use units for which bets are planned, up to a decision; how many were used."""
        a1, a2, a3, b1, b2, b3, cash, best_a, best_b, total, weight = self._evidence
        w1, w2, w3 = ROLLBACK_PRIOR
        goal, pour, cells = self._goal, self._pour, self._cells
        used = 0
        for y, arm, p in zip(ys, arms, chances, strict=True):
            cell = cells.get(p) or self._cell(p)
            c1, c2, c3, c4, c5, c6, d1, d2, d3, d4, d5, d6 = cell[1] if arm else cell[0]
            a1 *= c1 + d1 * y
            a2 *= c2 + d2 * y
            a3 *= c3 + d3 * y
            b1 = (b1 + w1 * pour) * (c4 + d4 * y)
            b2 = (b2 + w2 * pour) * (c5 + d5 * y)
            b3 = (b3 + w3 * pour) * (c6 + d6 * y)
            cash -= pour
            z = (y - cell[2]) * (1.0 - p if arm else -p)
            total += z
            weight += cell[3]
            cell[4][0] += z * z
            used += 1
            promote, rollback = a1 + a2 + a3, b1 + b2 + b3 + cash
            if promote > best_a:
                best_a = promote if promote < HUGE else HUGE
            if rollback > best_b:
                best_b = rollback if rollback < HUGE else HUGE
            if best_a >= goal or best_b >= goal:
                break
        self._evidence = a1, a2, a3, b1, b2, b3, cash, best_a, best_b, total, weight
        self._n += used
        self._pending += zip(ys[:used], arms[:used], chances[:used], strict=True)
        if best_b >= goal:
            self._decision = "rollback"
        elif best_a >= goal:
            self._decision = "promote"
        elif self.cap is not None and self._n >= self.cap:
            self._decision = "inconclusive"
        return used

    def _cell(self, p: float) -> _Cell:
        """What a block's units at p share: factors of (control, canary), centre, p (1 - p), [sum of squares]."""
        canary, control = self._bets.factors(p)
        centre = (1.0 - p) * self._level(True) + p * self._level(False)
        cell = self._cells[p] = (control, canary, centre, p * (1.0 - p), [0.0])
        return cell

    def _level(self, arm: bool) -> float:
        """An arm's recent mean, drawn to that of both."""
        units, total = self._arms[arm]
        others, sum_of_others = self._arms[not arm]
        pooled = (total + sum_of_others + 0.5 * (self.low + self.high)) / (units + others + 1.0)
        return (total + _SHRINK * pooled) / (units + _SHRINK)

    def _begin(self) -> None:
        """Start a block: bets from the past alone. Within a block nothing else is learnt, so that a stored test is
        restored by planning the block again and feeding its few units.
        """
        n = self._n
        self._refresh_at = next_block(n)
        self._pour = RESERVE * (reserve_spent(self._refresh_at) - reserve_spent(n)) / (self._refresh_at - n)
        self._bets.plan(*self._law.summary(), self._level(False))
        self._cells: dict[float, _Cell] = {}
        self._pending: list[tuple[float, bool, float]] = []
        self._at_start = n, self._evidence

    def _learn(self) -> None:
        """Take the finished block's units into the past."""
        self._variances = self._variances + self._block_variances()
        self._law.observe([y for y, _, _ in self._pending])
        self._law.fade(_MEMORY)
        for arm in (False, True):
            ys = [y for y, taken, _ in self._pending if taken == arm]
            units, total = self._arms[arm]
            units, total = units + len(ys), total + sum(ys)
            kept = min(1.0, _MEMORY / units) if units else 1.0
            self._arms[arm] = kept * units, kept * total

    def _block_variances(self) -> Array:
        """Per side and rate, sum of (-log(1 - u) - u) z^2 / c^2, u = rate c / width: what a mixture's exponent pays."""
        paid = np.zeros((2, _RATES.size))
        rates = _RATES / (self.high - self.low)
        for p, (_, _, centre, _, (square,)) in self._cells.items():
            above, below = self.high - centre, centre - self.low
            q = 1.0 - p
            for side, reach in enumerate((max(q * below, p * above), max(q * above, p * below))):
                u = rates * reach
                paid[side] += (-np.log1p(-u) - u) * (square / (reach * reach))
        return paid

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Anytime-valid confidence sequence for the effect, canary minus control; (low - high, high - low) at n = 0.

        Of the average effect so far, each unit weighing p (1 - p) ("overlap weights"), so an early step at 1 % does not
        blur what a later one at 25 % knows. No effect need be constant; the interval is never empty. Its bets are its
        own. Source: Howard et al. 2021 (1810.08240), empirical Bernstein; Li, Morgan & Zaslavsky 2018 for the weights.
        """
        need = log(2.0 * _RATES.size / (1.0 - _inputs.probability("level", level)))
        width = self.high - self.low
        total, weight = self._evidence[9:]
        if not weight > 0.0:
            return -width, width
        paid = self._variances + self._block_variances()
        rates = _RATES / width

        def bound(side: int, total: float) -> float:
            """The largest mean rejected from below: the mixture's value rises as the mean falls."""
            left, right = -width, min(max(total / weight, -width), width)
            for _ in range(40):
                middle = 0.5 * (left + right)
                exponents = rates * (total - middle * weight) - paid[side]
                top = float(exponents.max())
                if top + log(float(np.exp(exponents - top).sum())) >= need:
                    left = middle
                else:
                    right = middle
            return left

        return bound(0, total), -bound(1, -total)

    def planned_size(self, probability: float) -> int:
        """Units a fixed-size test of errors alpha and beta would need at this P(canary) to tell no effect from -margin,
        from the outcomes seen so far.
        """
        p = _inputs.probability("probability", probability)
        return fixed_size(
            self._bets.variance / (p * (1.0 - p)), self.margin, alpha=self.alpha, beta=self.beta
        )

    def state(self) -> dict[str, Any]:
        """All that ``from_state`` needs to go on exactly where this test stands, as JSON can hold it (some kilobytes,
        whatever n; replaying a million units would take seconds).
        """
        n, evidence = self._at_start
        return {
            "margin": self.margin,
            "rollback_if_worse_by": self.rollback_if_worse_by,
            "low": self.low,
            "high": self.high,
            "alpha": self.alpha,
            "beta": self.beta,
            "cap": self.cap,
            "n": n,
            "evidence": list(evidence),
            "law": [list(pair) for pair in self._law.masses],
            "arms": [list(arm) for arm in self._arms],
            "variances": self._variances.tolist(),
            "pending": [list(unit) for unit in self._pending],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CanaryTest:
        """The test that ``state`` was taken from: same evidence, same bets to come. ValueError if it is none."""
        names = ("margin", "rollback_if_worse_by", "low", "high", "alpha", "beta", "cap")
        try:
            test = cls(**{name: state[name] for name in names})
            test._law.masses = [(float(value), float(mass)) for value, mass in state["law"]]
            test._arms = [(float(units), float(total)) for units, total in state["arms"]]
            test._variances = np.array(state["variances"], np.float64).reshape(2, _RATES.size)
            a1, a2, a3, b1, b2, b3, cash, best_a, best_b, total, weight = map(float, state["evidence"])
            test._evidence = a1, a2, a3, b1, b2, b3, cash, best_a, best_b, total, weight
            test._n = int(state["n"])
            pending = [(float(y), bool(arm), float(p)) for y, arm, p in state["pending"]]
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the state of a CanaryTest: {error!r}") from error
        test._begin()
        for y, arm, p in pending:
            test.update(y, canary=arm, probability=p)
        return test

    @property
    def decision(self) -> CanaryDecision | None:
        """The first crossing, or None while the canary goes on."""
        return self._decision

    @property
    def n(self) -> int:
        """Units used."""
        return self._n

    @property
    def effect(self) -> float | None:
        """Estimate of canary minus control, each unit weighing p (1 - p); None before the first unit."""
        total, weight = self._evidence[9:]
        width = self.high - self.low
        return min(max(total / weight, -width), width) if weight > 0.0 else None

    @property
    def e_promote(self) -> float:
        """Largest evidence so far against effect <= -margin; 1 is none, 1/alpha promotes."""
        return self._evidence[7]

    @property
    def e_rollback(self) -> float:
        """Largest evidence so far against effect >= -margin; 1 is none, 1/alpha rolls back."""
        return self._evidence[8]

    @property
    def suspicion(self) -> float:
        """The evidence against effect >= -margin as it stands now: unlike ``e_rollback`` it falls again."""
        return sum(self._evidence[3:7])
