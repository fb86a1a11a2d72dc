"""What a side's answers took: failures, latency, cost, tokens."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shiftright.core.answer import Answer


class SideFigures(msgspec.Struct, frozen=True):
    """``latency_p50_s``/``latency_p95_s`` are of the answers as first produced; ``cost_usd`` is the mean of those whose
    price is known (None: of none), ``unpriced`` counts the others."""

    name: str
    digest: str
    answers: int
    failures: int
    latency_p50_s: float | None
    latency_p95_s: float | None
    cost_usd: float | None
    unpriced: int
    tokens: float | None


def figures(name: str | None, digest: str, answers: Iterable[Answer]) -> SideFigures:
    seen = list(answers)
    times = sorted(answer.latency_s for answer in seen)
    costs = [answer.cost_usd for answer in seen if answer.cost_usd is not None]
    tokens = [answer.usage.input_tokens + answer.usage.output_tokens for answer in seen]
    return SideFigures(
        name=name or "",
        digest=digest,
        answers=len(seen),
        failures=sum(answer.failure is not None for answer in seen),
        latency_p50_s=_quantile(times, 0.50),
        latency_p95_s=_quantile(times, 0.95),
        cost_usd=sum(costs) / len(costs) if costs else None,
        unpriced=len(seen) - len(costs),
        tokens=sum(tokens) / len(tokens) if tokens else None,
    )


def _quantile(ordered: list[float], share: float) -> float | None:
    """The smallest value that at least this share of them do not exceed."""
    if not ordered:
        return None
    rank = -int(-share * len(ordered) // 1)
    return ordered[max(rank, 1) - 1]
