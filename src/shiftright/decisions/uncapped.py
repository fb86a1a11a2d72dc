"""A mean without an upper limit per request: it can be disproven, never proven (Bahadur & Savage 1956)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from shiftright.stats import MeanCostTest


class UncappedMean:
    """``MeanCostTest`` in the shape of the other tests. Increments are minus the amount."""

    e_ship = 1.0

    def __init__(self, *, at_most: float, error: float, cap: int) -> None:
        self._test, self._cap, self._sum = MeanCostTest(at_most=at_most, error=error), cap, 0.0

    def update(self, x: Sequence[float]) -> Literal["block", "inconclusive"] | None:
        for value in x:
            if self.decision is not None:
                break
            self._test.update(-value)
            self._sum += value
        return self.decision

    @property
    def decision(self) -> Literal["block", "inconclusive"] | None:
        return self._test.decision or ("inconclusive" if self._test.n >= self._cap else None)

    @property
    def n(self) -> int:
        return self._test.n

    @property
    def e_block(self) -> float:
        return self._test.e_block

    @property
    def mean(self) -> float | None:
        return self._sum / self._test.n if self._test.n else None

    def interval(self, level: float = 0.95) -> None:
        """None: without a limit there is no interval for a mean."""
