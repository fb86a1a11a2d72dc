"""What the model calls of one feature call took."""

from __future__ import annotations

import msgspec

from shiftright.core.answer import Usage


class Meter(msgspec.Struct):
    """Sums over the model calls of one feature call.

    ``usage``, ``cost_usd`` and ``model_s`` are of the answers, whether asked now or taken from the cache: a cached
    answer keeps the cost and the latency it had. ``spent_usd`` is what was paid now. Both are None once a price was
    unknown. ``left_usd`` is what calls were expected to cost that were cancelled before their answer: their provider is
    paid all the same. ``model_calls`` reached a model, ``cached_calls`` did not.
    """

    usage: Usage = Usage()
    cost_usd: float | None = 0.0
    spent_usd: float | None = 0.0
    left_usd: float = 0.0
    model_calls: int = 0
    cached_calls: int = 0
    model_s: float = 0.0
    waited_s: float = 0.0

    def add(
        self,
        *,
        usage: Usage,
        cost_usd: float | None,
        latency_s: float,
        waited_s: float,
        cached: bool,
        paid: bool,
    ) -> None:
        """Count one answered call: its latency in seconds, and what this call of it waited here."""
        self.usage += usage
        self.cost_usd = _plus(self.cost_usd, cost_usd)
        self.model_s += latency_s
        self.waited_s += waited_s
        if cached:
            self.cached_calls += 1
            return
        self.model_calls += 1
        if paid:
            self.spent_usd = _plus(self.spent_usd, cost_usd)

    def add_failed(self, *, latency_s: float, waited_s: float) -> None:
        """Count one call that gave no answer."""
        self.model_calls += 1
        self.model_s += latency_s
        self.waited_s += waited_s

    def latency_s(self, wall_s: float) -> float:
        """How long the feature call takes its user, given how long it took here.

        Replaces the time waited for models (queueing for a free slot, reading the cache) by the time the models
        took. Cached calls made in parallel count one after the other: then it is an upper bound.
        """
        return max(0.0, wall_s - self.waited_s) + self.model_s if self.model_s or self.waited_s else wall_s


def _plus(total: float | None, more: float | None) -> float | None:
    return None if total is None or more is None else total + more
