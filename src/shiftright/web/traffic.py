"""The last 24 hours by feature: figures that pages and metrics both show."""

from __future__ import annotations

import time

import msgspec

from shiftright.core.trace import TraceFilter
from shiftright.web.site import Site

DAY_NS = 24 * 3600 * 10**9


class Traffic(msgspec.Struct):
    """Of one feature (or of what belongs to none) over 24 hours."""

    traces: int = 0
    errors: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0

    @property
    def error_rate(self) -> float:
        return self.errors / self.traces if self.traces else 0.0


def traffic(site: Site) -> dict[str, Traffic]:
    """By feature, of the last 24 hours."""
    found: dict[str, Traffic] = {}
    recent = TraceFilter(since_ns=time.time_ns() - DAY_NS)
    for rollup in site.telemetry.rollups(recent, by="feature"):
        row = found.setdefault(rollup.group, Traffic())
        row.traces += rollup.traces
        row.errors += rollup.errors
        row.cost_usd += rollup.cost_usd
        row.unpriced += rollup.unpriced
    return found
