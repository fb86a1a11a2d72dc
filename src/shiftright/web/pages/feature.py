"""One feature: every check from dev to live, the candidate beside what is current, the money, the next action."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from shiftright.errors import Error
from shiftright.evals.next_step import next_step_of
from shiftright.web import rendering
from shiftright.web.api.features import contract
from shiftright.web.board import board, month
from shiftright.web.site import Site
from shiftright.web.traffic import Traffic, traffic

RECENT_RUNS = 6


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/features", include_in_schema=False)

    @router.get("/{name}")
    def one(request: Request, name: str) -> Response:
        spec = contract(site, name)
        if request.headers.get("hx-request-type") == "partial":
            shown = board(site, spec)
            return rendering.page(
                site,
                request,
                "feature.html",
                block="board",
                spec=spec,
                board=shown,
                live=True,
                failing=_failing(site, name),
            )
        try:
            following, problem = next_step_of(spec.path, site.settings, site.records), None
        except Error as error:
            following, problem = None, error
        return rendering.page(
            site,
            request,
            "feature.html",
            spec=spec,
            board=board(site, spec, live=False),
            live=False,
            failing=_failing(site, name),
            next=following,
            problem=problem,
            month=month(site, spec),
            traffic=traffic(site).get(spec.feature, Traffic()),
            runs=site.records.runs.list(spec.feature, limit=RECENT_RUNS),
            incidents=[i for i in site.records.incidents.list(feature=spec.feature) if i.status != "closed"],
            waiting=len(site.records.reviews.list(feature=spec.feature, limit=100).data),
        )

    return router


def _failing(site: Site, feature: str) -> dict[str, str]:
    """Why a check scores nothing, by check."""
    monitor = site.watch.monitor
    found = {} if monitor is None else monitor.failing
    return {check: why for (owner, check), why in found.items() if owner == feature}
