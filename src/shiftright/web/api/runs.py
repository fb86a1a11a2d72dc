"""``/api/runs``: what evals decided, and why."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Response

from shiftright.errors import UsageError
from shiftright.evals.report.gather import RunReport, gather
from shiftright.store.rows import RunRow
from shiftright.web.api.described import answer, answers
from shiftright.web.api.traces import Cursor, Limit, Text
from shiftright.web.problems import NotFound
from shiftright.web.site import Site


class Runs(msgspec.Struct):
    """Newest first."""

    data: tuple[RunRow, ...]
    next_cursor: str | None


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/runs", tags=["runs"])

    @router.get("", responses=answers(Runs), response_class=Response)
    def list_runs(feature: Text = None, limit: Limit = 50, cursor: Cursor = None) -> Response:
        """The newest first."""
        rows = site.records.runs.list(feature or None, limit=limit + 1, cursor=cursor or None)
        return answer(Runs(tuple(rows[:limit]), rows[limit - 1].id if len(rows) > limit else None))

    @router.get("/{run_id}", responses=answers(RunReport, 404), response_class=Response)
    def get_run(run_id: str) -> Response:
        """One run as its report shows it: verdict, clauses, every case, evidence, cost and latency."""
        return answer(report(site, run_id))

    return router


def report(site: Site, run_id: str) -> RunReport:
    """
    Raises:
        NotFound: for an unknown run.
    """
    try:
        return gather(run_id, site.settings, site.records)
    except UsageError as error:
        raise NotFound(error.message, hint=error.hint) from error
