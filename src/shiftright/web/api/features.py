"""``/api/features``: the contracts of the project, how they stand, and the one next action."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Response

from shiftright import spec as specs
from shiftright.core.spec import Spec
from shiftright.core.verdict import Merge, Outcome
from shiftright.errors import Error, UsageError
from shiftright.evals.next_step import NextStep, next_step, next_step_of
from shiftright.spec.discovery import discover
from shiftright.store.rows import RunRow
from shiftright.web.api.described import answer, answers
from shiftright.web.board import BoardRow, Month, board, month
from shiftright.web.problems import NotFound
from shiftright.web.site import Site


class LastRun(msgspec.Struct):
    """The newest eval: ``verdict`` is None for a look and while it runs."""

    run_id: str
    variant: str
    status: str
    started_at: float
    verdict: Outcome | None
    merge: Merge | None


class FeatureRow(msgspec.Struct):
    """One contract. ``problem`` says why it cannot be read; then all else is empty."""

    feature: str
    path: str
    purpose: str = ""
    variants: tuple[str, ...] = ()
    baseline: str | None = None
    checks: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    last_run: LastRun | None = None
    problem: str | None = None


class FeatureDetail(msgspec.Struct):
    """One contract and how it stands: per clause at each stage, money this month, the next action."""

    feature: str
    purpose: str
    variants: tuple[str, ...]
    baseline: str | None
    checks: tuple[BoardRow, ...]
    decided: RunRow | None
    month: Month
    next: NextStep


class Features(msgspec.Struct):
    data: list[FeatureRow]
    next_cursor: str | None = None


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["features"])

    @router.get("/features", responses=answers(Features), response_class=Response)
    def list_features() -> Response:
        """Every contract under the project's root, in path order."""
        return answer(Features(features(site)))

    @router.get("/features/{name}", responses=answers(FeatureDetail, 404), response_class=Response)
    def get_feature(name: str) -> Response:
        """One contract, clause by clause: dev, gate, canary, live over seven days."""
        spec = contract(site, name)
        shown = board(site, spec)
        return answer(
            FeatureDetail(
                feature=spec.feature,
                purpose=spec.purpose,
                variants=tuple(spec.variants),
                baseline=spec.baseline,
                checks=shown.rows,
                decided=shown.decided,
                month=month(site, spec),
                next=next_step_of(spec.path, site.settings, site.records),
            )
        )

    @router.get("/next", responses=answers(NextStep), response_class=Response)
    def get_next() -> Response:
        """The one most useful next action of the project."""
        return answer(next_step(site.settings, site.records))

    return router


def contract(site: Site, name: str) -> Spec:
    """The contract of a feature.

    Raises:
        NotFound: for an unknown one.
        SpecError: when it cannot be read.
    """
    # a path would be read from anywhere on this machine
    if "/" in name or "\\" in name or name in (".", ".."):
        raise NotFound(f"there is no feature {name[:80]!r}", hint="GET /api/features lists what there is.")
    try:
        spec = specs.load(specs.named(name, site.settings.root))
    except UsageError as error:
        raise NotFound(error.message, hint=error.hint) from error
    if spec.feature != name:
        raise NotFound(f"there is no feature {name[:80]!r}", hint="GET /api/features lists what there is.")
    return spec


def features(site: Site) -> list[FeatureRow]:
    rows = []
    for path in discover(site.settings.root):
        shown = str(path.relative_to(site.settings.root))
        try:
            spec = specs.load(path)
        except Error as error:
            rows.append(FeatureRow("", shown, problem=str(error)))
            continue
        rows.append(
            FeatureRow(
                feature=spec.feature,
                path=shown,
                purpose=spec.purpose,
                variants=tuple(spec.variants),
                baseline=spec.baseline,
                checks=tuple(check.name for check in spec.checks),
                splits=tuple(spec.cases),
                last_run=_last_run(site, spec.feature),
            )
        )
    return rows


def _last_run(site: Site, feature: str) -> LastRun | None:
    run = next(iter(site.records.runs.list(feature, limit=1)), None)
    if run is None:
        return None
    verdict = run.verdict
    return LastRun(
        run_id=run.id,
        variant=run.variant,
        status=run.status,
        started_at=run.started_at,
        verdict=verdict.verdict if verdict else None,
        merge=verdict.merge if verdict else None,
    )
