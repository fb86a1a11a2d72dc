"""``/api/costs``: what traffic cost, by hour or day and by what is asked for."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Response

from shiftright.core.trace import Bucket, Group, Rollup
from shiftright.web.api.described import answer, answers
from shiftright.web.api.traces import Wanted
from shiftright.web.site import Site


class Costs(msgspec.Struct):
    """Oldest first. ``cost_usd`` sums what is known; ``unpriced`` counts model calls without a price."""

    data: tuple[Rollup, ...]
    next_cursor: str | None = None


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/costs", tags=["costs"])

    @router.get("", responses=answers(Costs), response_class=Response)
    def costs(where: Wanted, bucket: Bucket = "day", by: Group = "feature") -> Response:
        """Traffic per bucket of time and group."""
        return answer(Costs(site.telemetry.rollups(where, bucket=bucket, by=by)))

    return router
