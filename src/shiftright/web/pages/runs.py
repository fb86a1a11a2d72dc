"""Runs, and one of them: its report, live while it runs, with a person's judgement of each case."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from shiftright.errors import UsageError
from shiftright.evals.report.gather import gather
from shiftright.evals.report.html import blocks
from shiftright.improve.reviews import choices
from shiftright.web import rendering
from shiftright.web.api.traces import Text
from shiftright.web.problems import NotFound
from shiftright.web.sessions import form_token
from shiftright.web.site import Site

MOST_RUNS = 100


def _marks(site: Site, request: Request, run_id: str) -> Callable[[str, str], str]:
    """What ends each case: one key each for real, judge wrong, case wrong."""
    macro = rendering.environment().get_template("marks.html").module.marks  # type: ignore[attr-defined]
    token = form_token(site, request.headers)
    return lambda case, split: str(macro(run_id, case, split, choices("disagreement"), token))


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/runs", include_in_schema=False)

    @router.get("")
    def list_runs(request: Request, feature: Text = None) -> Response:
        rows = site.records.runs.list(feature or None, limit=MOST_RUNS)
        return rendering.page(site, request, "runs.html", rows=rows, feature=feature or "")

    @router.get("/{run_id}")
    def one(request: Request, run_id: str) -> Response:
        try:
            report = gather(run_id, site.settings, site.records)
        except UsageError as error:
            raise NotFound(error.message, hint=error.hint) from error
        partial = request.headers.get("hx-request") == "true"
        return rendering.page(
            site,
            request,
            "run.html",
            block="report" if partial else None,
            run=report.run,
            done=len(report.cases),
            # written by a template that escapes
            report=Markup(blocks(report, _marks(site, request, report.run.id))),  # noqa: S704
        )

    return router
