"""Before a rollout: in how many days its canary is decided, and how many units a day that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats import _inputs
from shiftright.stats._arms import PROMOTE_PRIOR, RESERVE, ROLLBACK_PRIOR, ArmBets, reserve_spent
from shiftright.stats._bets import Array, summarise

_LOOKS = 120  # times in the whole rollout at which the simulated tests are looked at
_RUNS = 300
_VALUES = 16  # different outcomes simulated
_FARTHEST = 1e9  # units between looks


@dataclass(frozen=True)
class CanaryPlan:
    """What to expect of a rollout within its time box.

    ``promote_days``, ``rollback_days``: half of the canaries that equal the control are promoted, and half of those
    worse by ``rollback_if_worse_by`` rolled back, by that day; inf: not within ``give_up``. ``promoted``,
    ``rolled_back``: their shares at ``give_up``. ``promote_needs``, ``rollback_needs``: units a day with which 1 - beta
    of them are, whatever units there are now.
    """

    give_up: float
    units_per_day: float
    promote_days: float
    rollback_days: float
    promoted: float
    rolled_back: float
    promote_needs: float
    rollback_needs: float

    @property
    def enough(self) -> bool:
        """Is traffic enough for a decision within the time box, whichever of the two canaries it is?"""
        return self.units_per_day >= max(self.promote_needs, self.rollback_needs)


def plan_canary(
    outcomes: ArrayLike,
    *,
    steps: Sequence[tuple[float, float]],
    units_per_day: float,
    give_up: float,
    margin: float,
    rollback_if_worse_by: float,
    low: float,
    high: float,
    alpha: float = 0.05,
    beta: float = 0.20,
    seed: int = 0,
) -> CanaryPlan:
    """Plan a CanaryTest from outcomes of today's release (``outcomes``, shape (n,): live scores, or those of an eval).

    ``steps``: (P(canary), days) in order; the last one lasts until ``give_up`` days, whatever its own figure.
    ``units_per_day``: users or conversations with an outcome, both arms together.

    The test's own bets for the law of ``outcomes`` are simulated 300 times, units in lots, so a plan takes well under a
    second at any traffic and is deterministic for a seed. What the test loses while it learns that law (a few per cent)
    is left out. Days are counted until outcomes are in: add the outcome's own delay.

    Errors: ValueError on an empty or out-of-range sample, no steps, a probability outside (0, 1), a length of time or
    traffic that is not positive, margins as CanaryTest refuses them, or outcomes too low for any canary to be worse by
    ``rollback_if_worse_by``.
    """
    xs = np.array(_inputs.increments(outcomes, low, high))
    alpha, beta = _inputs.probability("alpha", alpha), _inputs.probability("beta", beta)
    if not xs.size or not steps:
        raise ValueError("need at least one outcome and one step")
    if not 0.0 < margin < rollback_if_worse_by <= high - low < inf:
        raise ValueError(
            f"need 0 < margin < rollback_if_worse_by <= high - low, got {margin} and {rollback_if_worse_by}"
        )
    if not all(0.0 < days < inf for days in (units_per_day, give_up, *(days for _, days in steps))):
        raise ValueError("units_per_day, give_up and the days of every step must be positive numbers")
    if float(xs.mean()) - low < rollback_if_worse_by:
        raise ValueError(
            f"outcomes average {xs.mean():g}, only {xs.mean() - low:g} above the worst: no canary can be worse by "
            f"{rollback_if_worse_by:g}; choose a smaller rollback_if_worse_by"
        )
    chances = [_inputs.probability("probability", p) for p, _ in steps]
    times = (np.arange(_LOOKS) + 0.5) * give_up / _LOOKS
    at = np.minimum(np.searchsorted(np.cumsum([days for _, days in steps]), times), len(steps) - 1)
    bets = _bets(xs, margin, rollback_if_worse_by, low, high)
    promote = _Side(bets, np.array(chances)[at], alpha=alpha, promotes=True, seed=seed)
    rollback = _Side(bets, np.array(chances)[at], alpha=alpha, promotes=False, seed=seed)
    day = give_up / _LOOKS
    promoted, rolled_back = promote.looks(units_per_day * day), rollback.looks(units_per_day * day)
    return CanaryPlan(
        give_up=float(give_up),
        units_per_day=float(units_per_day),
        promote_days=float(np.median(promoted)) * day,
        rollback_days=float(np.median(rolled_back)) * day,
        promoted=float(np.isfinite(promoted).mean()),
        rolled_back=float(np.isfinite(rolled_back).mean()),
        promote_needs=promote.needed(1.0 - beta) / day,
        rollback_needs=rollback.needed(1.0 - beta) / day,
    )


def _bets(xs: Array, margin: float, loss: float, low: float, high: float) -> ArmBets:
    """Bets for the law of ``xs``, known; a touch of mass at both ends keeps every mean within reach."""
    masses = np.concatenate((np.ones(xs.size), [0.1, 0.1]))
    values, masses = summarise(np.concatenate((xs, [low, high])), masses, _VALUES)
    bets = ArmBets(margin=margin, loss=loss, low=low, high=high)
    bets.plan(values, masses / masses.sum(), float(xs.mean()))
    return bets


class _Side:
    """One of the two questions, simulated: canaries that equal the control, or that lose as much as stated."""

    def __init__(self, bets: ArmBets, chances: Array, *, alpha: float, promotes: bool, seed: int) -> None:
        self._goal, self._promotes, self._seed = 1.0 / alpha, promotes, seed
        rows = slice(0, 3) if promotes else slice(3, 6)
        canary = bets.canary[rows][0]
        self._laws: dict[float, tuple[Array, Array]] = {}
        for p in np.unique(chances).tolist():
            logs = []
            for factors in bets.factors(p):
                start, rise = np.array(factors[:6])[rows], np.array(factors[6:])[rows]
                logs.append(np.log(start + rise * bets.values[:, None]))
            weights = np.concatenate((p * canary, (1.0 - p) * bets.control))
            self._laws[p] = np.concatenate(logs), weights / weights.sum()
        self._chances = chances

    def looks(self, units: float) -> Array:
        """After how many looks each simulated canary is decided, with ``units`` between looks; inf: after none."""
        rng = np.random.default_rng(self._seed)
        ends = np.floor(np.arange(1, _LOOKS + 1) * units)
        lots = np.diff(ends, prepend=0.0).astype(np.int64)
        growth = np.empty((_LOOKS, _RUNS, 3))
        for p, (logs, weights) in self._laws.items():
            here = self._chances == p
            counts = rng.multinomial(lots[here][:, None], weights, size=(int(here.sum()), _RUNS))
            growth[here] = counts @ logs
        wealth = self._wealth(np.exp(np.minimum(growth, 700.0)), ends)
        reached = wealth >= self._goal
        decided: Array = np.where(reached.any(axis=0), reached.argmax(axis=0) + 1.0, inf)
        return decided

    def _wealth(self, factors: Array, ends: Array) -> Array:
        """Shape (looks, runs): the promotion's or the rollback's process, the latter with its reserve."""
        reserve = 0.0 if self._promotes else RESERVE
        shares = np.array(PROMOTE_PRIOR if self._promotes else ROLLBACK_PRIOR)
        stakes = np.broadcast_to((1.0 - reserve) * shares, factors.shape[1:])
        wealth = np.empty(factors.shape[:2])
        spent = 0.0
        for look, (factor, end) in enumerate(zip(factors, ends.tolist(), strict=True)):
            now = reserve_spent(end)
            stakes = np.minimum((stakes + reserve * (now - spent) * shares) * factor, 1e100)
            spent = now
            wealth[look] = stakes.sum(axis=1) + reserve * (1.0 - spent)
        return wealth

    def needed(self, share: float) -> float:
        """Units between looks with which ``share`` of the canaries are decided at the last look, to 3 %."""
        left, right = 1.0 / _LOOKS, 2.0 / _LOOKS
        while np.isfinite(self.looks(right)).mean() < share:
            if right > _FARTHEST:
                return inf
            left, right = right, 4.0 * right
        while log(right / left) > 0.03:
            middle = (left * right) ** 0.5
            if np.isfinite(self.looks(middle)).mean() < share:
                left = middle
            else:
                right = middle
        return right
