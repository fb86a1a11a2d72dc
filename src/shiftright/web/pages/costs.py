"""What traffic cost: by day or hour, by feature, variant, model, user."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from shiftright.core.trace import Bucket, Group, Rollup, TraceFilter
from shiftright.web import rendering
from shiftright.web.moments import moment
from shiftright.web.site import Site

MOST_LINES = 6
GROUPS: tuple[Group, ...] = ("feature", "variant", "model", "provider", "user", "service")
TIMES = (("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"))


class Line(msgspec.Struct):
    """Sums of one group over the time asked for."""

    name: str
    traces: int = 0
    errors: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/costs", include_in_schema=False)

    @router.get("")
    def costs(
        request: Request, by: Group = "feature", since: Annotated[str, Query(max_length=40)] = "7d"
    ) -> Response:
        bucket: Bucket = "hour" if since == "24h" else "day"
        rollups = site.telemetry.rollups(TraceFilter(since_ns=moment(since)), bucket=bucket, by=by)
        lines = _lines(rollups)
        return rendering.page(
            site,
            request,
            "costs.html",
            lines=lines,
            total=sum(line.cost_usd for line in lines),
            unpriced=sum(line.unpriced for line in lines),
            plot=_plot(rollups, [line.name for line in lines[:MOST_LINES]]),
            by=by,
            since=since,
            groups=GROUPS,
            times=TIMES,
        )

    return router


def _lines(rollups: tuple[Rollup, ...]) -> list[Line]:
    """The dearest first."""
    found: dict[str, Line] = {}
    for rollup in rollups:
        line = found.setdefault(rollup.group, Line(rollup.group))
        for name in Line.__struct_fields__[1:]:
            setattr(line, name, getattr(line, name) + getattr(rollup, name))
    return sorted(found.values(), key=lambda line: (-line.cost_usd, -line.traces, line.name))


def _plot(rollups: tuple[Rollup, ...], names: list[str]) -> dict[str, Any] | None:
    """What the script draws: USD per bucket for the dearest groups. One point is no line."""
    times = sorted({rollup.start_ns for rollup in rollups})
    if len(times) < 2:
        return None
    spent = {(rollup.start_ns, rollup.group): rollup.cost_usd for rollup in rollups}
    return {
        "x": [time // 10**9 for time in times],
        "unit": "USD",
        "series": [
            {"label": name[:60] or "none", "values": [spent.get((time, name), 0.0) for time in times]}
            for name in names
        ],
    }
