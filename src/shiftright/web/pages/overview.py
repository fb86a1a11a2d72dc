"""What the project has, how it stands, what to do next."""

from __future__ import annotations

import time

import msgspec
from fastapi import APIRouter, Request, Response

from shiftright.core.trace import TraceFilter
from shiftright.errors import Error
from shiftright.evals.next_step import NextStep, next_step
from shiftright.web import rendering
from shiftright.web.api.features import FeatureRow, features
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


class Card(msgspec.Struct, frozen=True):
    feature: FeatureRow
    traffic: Traffic


def router(site: Site) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def overview(request: Request) -> Response:
        by_feature = traffic(site)
        rows = features(site)
        cards = [Card(row, by_feature.pop(row.feature, Traffic())) for row in rows]
        following, problem = _next(site)
        recent = site.telemetry.traces(limit=8)
        return rendering.page(
            site,
            request,
            "overview.html",
            cards=cards,
            others=sorted(by_feature.items(), key=lambda item: -item[1].traces),
            next=following,
            problem=problem,
            recent=recent.data,
        )

    return router


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


def _next(site: Site) -> tuple[NextStep | None, Error | None]:
    """The next action; what keeps it from being known is shown in its place."""
    try:
        return next_step(site.settings, site.records), None
    except Error as error:
        return None, error
