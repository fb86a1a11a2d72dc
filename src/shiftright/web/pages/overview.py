"""What the project has, how it stands, what to do next."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from shiftright.errors import Error
from shiftright.evals.next_step import NextStep, next_step
from shiftright.web import rendering
from shiftright.web.api.features import FeatureRow, features
from shiftright.web.site import Site
from shiftright.web.traffic import Traffic, traffic


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


def _next(site: Site) -> tuple[NextStep | None, Error | None]:
    """The next action; what keeps it from being known is shown in its place."""
    try:
        return next_step(site.settings, site.records), None
    except Error as error:
        return None, error
