"""The user's own limit on calls and money."""

from __future__ import annotations

import threading

from shiftright.core.counting import counted
from shiftright.errors import CapReached, UsageError


class Budget:
    """At most ``max_calls`` model calls and ``max_cost_usd`` for a run; None is no limit.

    A call reserves its expected cost before it is made and settles the real one afterwards, so that calls in flight
    at the same time cannot together pass the limit they would each respect. Cached answers cost nothing.
    """

    def __init__(self, max_calls: int | None = None, max_cost_usd: float | None = None) -> None:
        self.max_calls = max_calls
        self.max_cost_usd = max_cost_usd
        self.calls = 0
        self.spent_usd = 0.0
        self._reserved_usd = 0.0
        self._lock = threading.Lock()

    def reserve(self, expected_usd: float | None, model: str) -> float:
        """Take room for one call; give what it returns to ``settle``.

        Raises:
            CapReached: when this call would pass a limit; nothing is reserved then.
            UsageError: when money is limited and the model's price is unknown.
        """
        with self._lock:
            if self.max_calls is not None and self.calls >= self.max_calls:
                raise CapReached(
                    f"the cap of {counted(self.max_calls, 'model call')} is reached",
                    hint="Everything so far is kept. Raise --max-calls and run again to go on.",
                )
            if self.max_cost_usd is not None:
                if expected_usd is None:
                    raise UsageError(
                        f"a cost cap cannot be kept: no price is known for {model}",
                        hint="Give the variant `price: {input: … USD/M, output: … USD/M}`, or cap calls instead "
                        "with --max-calls.",
                    )
                committed = self.spent_usd + self._reserved_usd
                if committed + expected_usd > self.max_cost_usd:
                    raise CapReached(
                        f"the next call may cost {expected_usd:.6f} USD and would pass the cap of "
                        f"{self.max_cost_usd:g} USD ({committed:.6f} USD are spent or in flight)",
                        hint="Everything so far is kept. Raise --max-cost and run again to go on.",
                    )
            self.calls += 1
            reserved = expected_usd or 0.0
            self._reserved_usd += reserved
            return reserved

    def settle(self, reserved: float, cost_usd: float | None) -> None:
        """Replace what a call reserved by what it cost (None where unknown)."""
        with self._lock:
            self._reserved_usd -= reserved
            self.spent_usd += cost_usd or 0.0
