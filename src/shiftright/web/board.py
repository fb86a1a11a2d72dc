"""The board of a feature: one row per clause of the contract, and what is known of it at each stage."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from shiftright.core.counting import counted
from shiftright.core.spec import Check, Clause, Spec
from shiftright.core.verdict import CheckRow, LiveRow
from shiftright.decisions import words
from shiftright.decisions.units import Units
from shiftright.evals.planning import PLANNED_FOR
from shiftright.monitor import board as monitor
from shiftright.store.rows import RunRow
from shiftright.store.spend import month_of
from shiftright.web.site import Site

RECENT_RUNS = 100
LEVEL = 0.95


class Cell(msgspec.Struct, frozen=True):
    """What one stage says of one clause, as words, and as numbers for the small picture of its interval.

    ``low`` and ``high`` are the ends of the picture's axis, ``target`` where the clause's bound stands on it.
    """

    said: str
    verdict: str = ""
    interval: str = ""
    note: str = ""
    estimate: float | None = None
    ends: tuple[float, float] | None = None
    target: float | None = None
    low: float = 0.0
    high: float = 1.0


class BoardRow(msgspec.Struct, frozen=True):
    check: str
    clause: str
    target: str
    dev: Cell | None = None
    gate: Cell | None = None
    canary: Cell | None = None
    live: Cell | None = None


class Board(msgspec.Struct, frozen=True):
    """``decided`` is the newest run with a verdict: the candidate beside its baseline."""

    rows: tuple[BoardRow, ...]
    decided: RunRow | None


class Month(msgspec.Struct, frozen=True):
    """Money of one feature this month, USD; ``limit`` None where the contract names none."""

    name: str
    spent: float
    requests: int
    limit: float | None


def board(site: Site, spec: Spec, *, live: bool = True) -> Board:
    """
    Args:
        live: look at the traffic too, which takes longer than all the rest.
    """
    runs = site.records.runs.list(spec.feature, limit=RECENT_RUNS)
    decided = next((run for run in runs if run.verdict is not None and run.verdict.checks), None)
    gate = (
        {(row.check, row.clause): row for row in decided.verdict.checks}
        if decided and decided.verdict
        else {}
    )
    dev = _dev(site, runs)
    seen = _live(site, spec) if live else {}
    rows = []
    for check in (*spec.checks, *spec.live_checks):
        for clause in check.clauses:
            decision = gate.get((check.name, clause.kind))
            rows.append(
                BoardRow(
                    check=check.name,
                    clause=clause.kind,
                    target=words.target(check, clause),
                    dev=dev.get(check.name),
                    gate=None if decision is None else cell(check, clause, decision),
                    live=seen.get((check.name, clause.kind)),
                )
            )
    return Board(tuple(rows), decided)


def cell(check: Check, clause: Clause, row: CheckRow | LiveRow) -> Cell:
    """A row of a verdict or of live traffic, on an axis on which its bound and its interval fit."""
    if row.estimate is None:
        return Cell(said="–", verdict=row.verdict or "", note=row.reason)
    interval = ""
    if row.interval is not None:
        ends = [words.quantity(clause.kind, end, check.score) for end in row.interval]
        interval = f"{ends[0].removesuffix(' points').removesuffix(' point')} to {ends[1]} ({words.percent(row.level)})"
    target = bound(clause)
    points = [point for point in (row.estimate, target, *(row.interval or ())) if point is not None]
    margin = 0.08 * ((max(points) - min(points)) or 1.0)
    return Cell(
        said=words.quantity(clause.kind, row.estimate, check.score),
        verdict=row.verdict or "",
        interval=interval,
        note=_counted(row),
        estimate=row.estimate,
        ends=row.interval,
        target=target,
        low=min(points) - margin,
        high=max(points) + margin,
    )


def _counted(row: CheckRow | LiveRow) -> str:
    if isinstance(row, LiveRow):
        return counted(row.n, "trace")
    return words.counted(Units(row.n, row.n if row.cases is None else row.cases))


def bound(clause: Clause) -> float | None:
    """Where the clause's bound stands among the values its row tests; None for what is counted."""
    match clause.kind:
        case "max_drop":
            return -clause.bound
        case "p95_at_most":
            return 0.95
        case "never_fails" | "each_at_most":
            return None
        case _:
            return clause.bound


def _dev(site: Site, runs: Sequence[RunRow]) -> dict[str, Cell]:
    """Mean scores of the baseline on the dev cases that were last run (a planning sample), by check."""
    run = next((run for run in runs if run.options.get(PLANNED_FOR) and run.status == "done"), None)
    if run is None:
        return {}
    values: dict[str, list[float]] = {}
    for case in site.records.runs.cases(run.id):
        for name, scores in case.candidate_scores.items():
            known = [score.value for score in scores if score.value is not None]
            if known:
                values.setdefault(name, []).append(sum(known) / len(known))
    return {name: _mean(found) for name, found in values.items() if all(0 <= value <= 1 for value in found)}


def _mean(values: list[float]) -> Cell:
    from shiftright.stats import mean_interval

    low, high = mean_interval(values, LEVEL, low=0.0, high=1.0)
    mean = sum(values) / len(values)
    return Cell(
        said=words.percent(mean),
        interval=f"{words.percent(low)} to {words.percent(high)} ({words.percent(LEVEL)})",
        note=f"baseline on {counted(len(values))}",
        estimate=mean,
        ends=(low, high),
    )


def _live(site: Site, spec: Spec) -> dict[tuple[str, str], Cell]:
    """The last seven days, as they stood a few seconds ago at most."""
    week = (("7 d", monitor.WEEK),)
    found = site.live.get(
        spec.feature, spec, lambda: monitor.board(spec, site.records, site.telemetry, windows=week)
    )
    checks = {check.name: check for check in (*spec.checks, *spec.live_checks)}
    cells = {}
    for row in found.window("7 d").rows:
        clause = checks[row.check].clause(row.clause)
        if clause is not None:
            cells[row.check, row.clause] = cell(checks[row.check], clause, row)
    return cells


def month(site: Site, spec: Spec) -> Month:
    """Spent against ``month_at_most``, where a check names one."""
    name = month_of(time.time())
    spent = site.records.spend.month(name).get(f"feature:{spec.feature}")
    limits = [check.month_at_most_usd for check in spec.checks if check.month_at_most_usd is not None]
    return Month(
        name=name,
        spent=spent.cost_usd if spent else 0.0,
        requests=spent.requests if spent else 0,
        limit=min(limits, default=None),
    )
