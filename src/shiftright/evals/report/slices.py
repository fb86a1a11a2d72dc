"""Cases that share a tag: where a change helps and where it hurts. Advisory; it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shiftright.core.spec import Check, Spec
from shiftright.decisions.clauses import tested
from shiftright.evals.report.changes import MEASURED, CaseView, CheckView

SMALLEST = 5
LEVEL = 0.95


class SliceRow(msgspec.Struct, frozen=True):
    """One tag and one check. ``change`` is the mean paired difference, its interval holds at every stopping point but
    is not corrected for looking at many slices; both are None where there is no baseline."""

    tag: str
    check: str
    n: int
    candidate: float
    baseline: float | None
    change: float | None
    interval: tuple[float, float] | None


def slices(cases: Sequence[CaseView], spec: Spec | None) -> list[SliceRow]:
    """Of tags on at least five gate cases and not on all of them; the worst change first."""
    gate = [case for case in cases if case.split == "gate"]
    tags: dict[str, list[CaseView]] = {}
    for case in gate:
        for tag in set(case.tags):
            tags.setdefault(tag, []).append(case)
    checks = [
        check for check in (spec.checks if spec else ()) if check.score not in MEASURED and tested(check)
    ]
    rows = [
        row
        for tag, members in tags.items()
        if SMALLEST <= len(members) < len(gate)
        for check in checks
        if (row := _row(tag, members, check)) is not None
    ]
    return sorted(rows, key=lambda row: (row.change if row.change is not None else row.candidate, row.tag))


def _row(tag: str, members: Sequence[CaseView], check: Check) -> SliceRow | None:
    views = [view for case in members for view in case.checks if view.name == check.name]
    candidate = [view.candidate for view in views if view.candidate is not None]
    if len(candidate) < SMALLEST:
        return None
    pairs = _pairs(views)
    mean = sum(candidate) / len(candidate)
    if len(pairs) < SMALLEST:
        return SliceRow(tag, check.name, len(candidate), mean, None, None, None)
    from shiftright.stats import mean_interval

    differences = [new - old for new, old in pairs]
    low, high = mean_interval(differences, LEVEL, low=-1.0, high=1.0)
    return SliceRow(
        tag=tag,
        check=check.name,
        n=len(pairs),
        candidate=mean,
        baseline=sum(old for _, old in pairs) / len(pairs),
        change=sum(differences) / len(pairs),
        interval=(low, high),
    )


def _pairs(views: Sequence[CheckView]) -> list[tuple[float, float]]:
    return [
        (view.candidate, view.baseline)
        for view in views
        if view.candidate is not None and view.baseline is not None
    ]
