"""Runs, and one of them: its report, live while it runs, with a person's judgement of each case."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from markupsafe import Markup

from shiftright.evals.report.gather import RunReport
from shiftright.evals.report.html import blocks
from shiftright.improve.reviews import choices
from shiftright.web import rendering
from shiftright.web.api.runs import report
from shiftright.web.api.traces import Text
from shiftright.web.forms import reviewer_of
from shiftright.web.sessions import form_token
from shiftright.web.site import Site

MOST_RUNS = 100
MOST_MARKS = 1_000


def _marks(site: Site, request: Request, found: RunReport) -> Callable[[str, str], str]:
    """What ends each case: one key each for real, judge wrong, case wrong, and what has been said already."""
    run_id = found.run.id
    macro = rendering.environment().get_template("marks.html").module.marks  # type: ignore[attr-defined]
    token = form_token(site, request.headers)
    said: dict[str, list[str]] = {}
    page = site.records.reviews.list(None, feature=found.run.feature, kind="disagreement", limit=MOST_MARKS)
    for review in page.data:
        if review.resolution and (choice := review.resolution.get("choice")):
            said.setdefault(str(review.subject.get("source")), []).append(f"{choice} ({review.reviewer})")

    reviewer = reviewer_of(request)

    def marks(case: str, split: str) -> str:
        heard = said.get(f"run:{run_id}/{case}", [])
        return str(macro(run_id, case, split, choices("disagreement"), token, heard, reviewer))

    return marks


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/runs", include_in_schema=False)

    @router.get("")
    def list_runs(request: Request, feature: Text = None) -> Response:
        rows = site.records.runs.list(feature or None, limit=MOST_RUNS)
        return rendering.page(site, request, "runs.html", rows=rows, feature=feature or "")

    @router.get("/{run_id}")
    def one(request: Request, run_id: str) -> Response:
        found = report(site, run_id)
        partial = request.headers.get("hx-request-type") == "partial"
        return rendering.page(
            site,
            request,
            "run.html",
            block="report" if partial else None,
            run=found.run,
            done=len(found.cases),
            # written by a template that escapes
            report=Markup(blocks(found, _marks(site, request, found))),  # noqa: S704
        )

    return router
