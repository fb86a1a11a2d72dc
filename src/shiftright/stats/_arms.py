"""Bets on a unit of either arm, when the probability of the arm is known.

Against "canary minus control <= -margin" (or >=), at probability p of the canary, the only e-variables that no other
one dominates are ``1 + bet * (margin + W y) - lever * W``, with ``W = 1/p`` for a canary unit and ``-1/(1 - p)`` for a
control unit (linear duality over the laws of both arms). They are bets on the augmented inverse-probability-weighted
increment with the centre ``lever / bet``, which is free. So bet and centre are chosen together, for the growth under a
planned law; with p small the range 1/p is then paid only where an outcome can reach it.
"""

from __future__ import annotations

from math import exp, log, log1p, sqrt

import numpy as np

from shiftright.stats._bets import SAFETY, Array, expectation, tilt

GAINS = (
    0.0,
    1.0,
    -0.5,
)  # effects planned for promotion, in units of the margin: equal, better, a little worse
PROMOTE_PRIOR = (0.7, 0.15, 0.15)
ROLLBACK_PRIOR = (0.6, 0.2, 0.2)  # planned at the stated loss, at half the control's level, and between
RESERVE = 0.05  # share of the rollback stake put in later, against a canary that breaks after a good start
_STEPS = 10.0  # bets are computed for probabilities a tenth apart in log-odds and scaled to each unit's own
_FAR = 14.0  # log-odds beyond which they no longer change
_NEWTON, _TILTS, _SETTLED = 8, 12, 1e-3

Factors = tuple[float, ...]  # of one arm: intercept and slope in y, three for promotion, three for rollback


def reserve_spent(n: float) -> float:
    """Share of the reserve put in by unit n: slowly falling in n, so that no time of a break is far out of reach."""
    return 1.0 - 1.0 / (1.0 + log1p(n / 100.0))


class ArmBets:
    """Three bets for promotion and three for rollback, per probability, from one summary of the past.

    What ``plan`` leaves: ``values``, the ``control`` law on them, the six ``canary`` laws (rows), the ``variance``.
    """

    def __init__(self, *, margin: float, loss: float, low: float, high: float) -> None:
        self._margin, self._loss, self._low, self._high = margin, loss, low, high
        self._solved: dict[int, Array] = {}

    def plan(self, values: Array, weights: Array, control: float) -> None:
        """New planned laws: the outcomes seen, tilted to the control's mean and to that plus each planned effect."""
        low, high, margin = self._low, self._high, self._margin
        edge = 1e-3 * (high - low)
        half = max(self._loss, 0.5 * (control - low))
        losses = (self._loss, sqrt(self._loss * half), half)
        means = np.array(
            [[control], *([control + gain * margin] for gain in GAINS), *([control - x] for x in losses)]
        )
        means = np.minimum(np.maximum(means, low + edge), high - edge)
        laws, _ = tilt(values, weights, means, np.zeros_like(means), _TILTS)
        self.values, self.control, self.canary = values, laws[0], laws[1:]
        self.level, self._effects = float(means[0, 0]), means[1:, 0] - means[0, 0]
        self.variance = expectation(laws[0], (values - self.level) ** 2) + 1e-6 * edge * edge
        self._solved.clear()

    def factors(self, p: float) -> tuple[Factors, Factors]:
        """What a unit multiplies the six processes by: (canary, control), each six intercepts, then six slopes in y.

        Legal for every outcome in [low, high]: at least ``1 - SAFETY``, and of mean at most 1 under the null.
        """
        odds = log(p / (1.0 - p))
        step = round(_STEPS * min(max(odds, -_FAR), _FAR))
        solved = self._solved.get(step)
        if solved is None:
            solved = self._solved[step] = self._solve(1.0 / (1.0 + exp(-step / _STEPS)))
        low, high, q = self._low, self._high, 1.0 - p
        canary, control, rises, falls = [], [], [], []
        for bet, centre in solved.tolist():
            rise, fall, still = bet * q, -bet * p, bet * p * q * self._margin
            down, up = low - centre, high - centre
            worst = -still - min(rise * down, rise * up, fall * down, fall * up)
            if worst > SAFETY:
                shrink = SAFETY / worst
                rise, fall, still = shrink * rise, shrink * fall, shrink * still
            canary.append(1.0 + still - rise * centre)
            control.append(1.0 + still - fall * centre)
            rises.append(rise)
            falls.append(fall)
        return (*canary, *rises), (*control, *falls)

    def _solve(self, p: float) -> Array:
        """(bet / (p (1 - p)), centre) per process: maximal growth under its planned law, by damped Newton steps."""
        q, level, margin = 1.0 - p, self.level, self._margin
        y = self.values - level
        arm = np.repeat([1.0 / p, -1.0 / q], y.size)
        gains = np.concatenate((y / p, -y / q)) + margin
        weights = np.concatenate(
            (p * self.canary, np.broadcast_to(q * self.control, self.canary.shape)), axis=1
        )
        gap = self._effects + margin
        bet = gap * p * q / (self.variance + gap * gap * p * q)
        lever = bet * (q * (self._effects - q * gap) + p * p * gap)
        change = bet[:, None] * gains - lever[:, None] * arm
        room = SAFETY / np.maximum(-change.min(axis=1), SAFETY)
        bet, lever = bet * room, lever * room
        factor = 1.0 + change * room[:, None]
        for _ in range(_NEWTON):
            share = weights / factor
            by_bet, by_lever = share * gains, -share * arm
            curve = share / factor
            bb = (curve * gains * gains).sum(axis=1)
            bl = -(curve * gains * arm).sum(axis=1)
            ll = (curve * arm * arm).sum(axis=1)
            g, h = by_bet.sum(axis=1), by_lever.sum(axis=1)
            det = np.maximum(bb * ll - bl * bl, 1e-12 * bb * ll + 1e-300)
            step_bet, step_lever = (ll * g - bl * h) / det, (bb * h - bl * g) / det
            move = step_bet[:, None] * gains - step_lever[:, None] * arm
            reach = 0.9 / np.maximum((-move / factor).max(axis=1), 0.9)
            bet, lever = bet + reach * step_bet, lever + reach * step_lever
            factor = factor + reach[:, None] * move
            if float(np.abs(move).max()) < _SETTLED * float(np.abs(factor).max()):
                break
        right = bet * np.sign(gap) > 0.0
        safe = np.where(right, bet, 1.0)
        # the sign is what the guarantee asks for: a bet on the other side would be one on the null itself
        side = np.array([1.0] * 3 + [-1.0] * 3)
        kept = np.where(right & (side * bet > 0.0), bet, 0.0)
        return np.stack((kept / (p * q), level + lever / safe), axis=1)
