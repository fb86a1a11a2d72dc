"""Cases that share a tag: where a change helps and where it hurts. Advisory; it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shiftright.core.spec import Check, Spec
from shiftright.decisions.clauses import tested
from shiftright.evals.report.changes import MEASURED, CaseView

SMALLEST = 5
FALSE_DISCOVERIES = 0.05


class SliceRow(msgspec.Struct, frozen=True):
    """One tag and one check; ``n`` counts cases.

    ``change`` is the mean paired difference. Its interval holds at every stopping point and is not corrected for
    looking at many slices. ``e_worse`` is the evidence against "no loss"; ``worse`` selects among all slices so that at
    most 5 % of those selected are expected to be wrong (e-BH). Without a baseline there is only ``candidate``.
    """

    tag: str
    check: str
    n: int
    candidate: float
    baseline: float | None = None
    change: float | None = None
    interval: tuple[float, float] | None = None
    e_worse: float | None = None
    worse: bool = False


def slices(cases: Sequence[CaseView], spec: Spec | None) -> list[SliceRow]:
    """Of tags on at least five gate cases and not on all of them; those proven worse first, then by change."""
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
    rows = _corrected(rows)
    return sorted(
        rows, key=lambda row: (not row.worse, row.candidate if row.change is None else row.change, row.tag)
    )


def _row(tag: str, members: Sequence[CaseView], check: Check) -> SliceRow | None:
    views = [(case, view) for case in members for view in case.checks if view.name == check.name]
    candidate = [view.candidate for _, view in views if view.candidate is not None]
    if len(candidate) < SMALLEST:
        return None
    mean = sum(candidate) / len(candidate)
    pairs = [
        (_unit(case), view.candidate, view.baseline)
        for case, view in views
        if view.candidate is not None and view.baseline is not None
    ]
    if len({unit for unit, _, _ in pairs}) < SMALLEST:
        return SliceRow(tag, check.name, len(candidate), mean)
    from shiftright.evals.compare.unit_means import UnitMeans

    means = UnitMeans.of([new - old for _, new, old in pairs], [unit for unit, _, _ in pairs])
    return SliceRow(
        tag=tag,
        check=check.name,
        n=len(pairs),
        candidate=mean,
        baseline=sum(old for _, _, old in pairs) / len(pairs),
        change=means.mean,
        interval=means.interval(),
        e_worse=means.evidence_of_loss(),
    )


def _corrected(rows: list[SliceRow]) -> list[SliceRow]:
    """The rows with those marked that stay worse however many were looked at (statistics.md, section c)."""
    evidence = [row.e_worse for row in rows if row.e_worse is not None]
    if not evidence:
        return rows
    from shiftright.stats import e_bh

    chosen = iter(e_bh(evidence, FALSE_DISCOVERIES).tolist())
    return [row if row.e_worse is None else msgspec.structs.replace(row, worse=next(chosen)) for row in rows]


def _unit(case: CaseView) -> tuple[str, str]:
    return ("group", case.group) if case.group is not None else ("case", case.id)
