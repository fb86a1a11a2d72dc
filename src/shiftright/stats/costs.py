"""Mean cost per request: provable with an enforced spend cap, refutable without one."""

from __future__ import annotations

from math import log
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats._bets import Array
from shiftright.stats._inputs import probability
from shiftright.stats._wealth import HUGE


def cost_increments(costs: ArrayLike, cap: float) -> Array:
    """``-cost / cap`` in [-1, 0], shape (n,), for requests whose spend is cut off at ``cap``: more is
    better, as elsewhere.

    "Mean cost <= m, comfortable at 0.8 m" is ``BoundaryTest(bad=-m / cap, good=-0.8 * m / cap, low=-1,
    high=0)``. Without an enforced cap no test can show that a mean cost is low (Bahadur & Savage 1956).
    ValueError on a cost that is negative, NaN or above the cap: then the cap is not enforced.
    """
    values = np.asarray(costs, np.float64)
    if not cap > 0.0 or not ((values >= 0.0) & (values <= cap * (1.0 + 1e-9))).all():
        raise ValueError(f"every cost must lie in [0, {cap:g}], the spend cap that is enforced per request")
    increments: Array = -np.minimum(values / cap, 1.0)
    return increments


class MeanCostTest:
    """Is the mean cost above ``at_most``? For costs without any upper limit; it can block but never ship.

    prod(1 + lam (cost / at_most - 1)), averaged over bets lam in [0, 1), is an e-process for every
    non-negative cost with conditional mean at most ``at_most``, so P(ever block | mean <= at_most) <=
    error. Errors: ValueError unless at_most > 0; a negative or NaN cost is refused with nothing used.
    """

    _BETS = (0.01, 0.03, 0.1, 0.2, 0.4, 0.8)

    def __init__(self, *, at_most: float, error: float = 0.05) -> None:
        if not 0.0 < at_most < HUGE:
            raise ValueError(f"at_most must be a positive number, got {at_most}")
        self.at_most, self.error = float(at_most), probability("error", error)
        self._wealth = [1.0] * len(self._BETS)
        self._peak, self._n = 1.0, 0

    def update(self, costs: ArrayLike) -> Literal["block"] | None:
        """One cost or a 1-D array in arrival order; "block" once proven too high (absorbing), else None."""
        values = np.asarray(costs, np.float64).reshape(-1)
        if not (values >= 0.0).all():
            raise ValueError("a cost is negative or NaN")
        for cost in values.tolist():
            if self.decision:
                break
            self._wealth = [
                min(wealth * (1.0 + bet * (cost / self.at_most - 1.0)), HUGE)
                for wealth, bet in zip(self._wealth, self._BETS, strict=True)
            ]
            self._peak = max(self._peak, sum(self._wealth) / len(self._wealth))
            self._n += 1
        return self.decision

    @property
    def decision(self) -> Literal["block"] | None:
        return "block" if log(self._peak) >= -log(self.error) else None

    @property
    def n(self) -> int:
        """Costs used."""
        return self._n

    @property
    def e_block(self) -> float:
        """Largest evidence so far against "mean cost <= at_most"."""
        return self._peak
