"""``shiftright plan``: what a decision will take, measured on dev cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftright.cli import _output
from shiftright.cli._options import BaselineName, Concurrency, Feature, Json, MaxCalls, MaxCost, VariantName

if TYPE_CHECKING:
    from shiftright.evals.planning import FeaturePlan, PlannedClause


def plan(
    feature: Feature,
    variant: VariantName = None,
    baseline: BaselineName = None,
    max_calls: MaxCalls = None,
    max_cost_usd: MaxCost = None,
    concurrency: Concurrency = None,
    json: Json = False,
) -> int:
    """Say how many cases a decision will take.

    Runs the baseline twice on the dev cases to measure variances; what is in the records is not run again."""
    from shiftright.app import App, wait
    from shiftright.cli._expected import expected
    from shiftright.cli._progress import progress
    from shiftright.evals.options import Options

    options = Options.of(locals())
    with App.here() as app:
        found = wait(
            app.plan(feature, options, progress(lambda: expected(app, feature, options, planning=True)))
        )
    if json:
        _output.print_json(found)
    else:
        _print(found)
    return _output.PASS


def _print(found: FeaturePlan) -> None:
    from rich.table import Table

    from shiftright.cli._screen import NARROW, console, text
    from shiftright.core.counting import counted

    screen = console()
    base = f" · baseline {found.baseline}" if found.baseline else ""
    screen.print(text(f"{found.feature}{base} · {counted(found.cases, 'gate case')}", "bold"))
    measured = (
        f"variances measured on {found.sample} dev cases on which the baseline ran twice"
        if found.sample
        else "variances are assumed: add 50 or more dev cases and a baseline to measure them"
    )
    screen.print(text(measured, "dim"))
    screen.print()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("check", no_wrap=True)
    table.add_column("tells apart", justify="right")
    table.add_column("calls if equal", justify="right")
    table.add_column("if bad", justify="right")
    if screen.width >= NARROW:
        table.add_column("in between", justify="right")
    table.add_column("fixed-size test", justify="right")
    for clause in found.clauses:
        # a 95 % limit is proven by calls in time: no gap between levels is told apart, and none is asked for
        cells = [
            f"{clause.plan.check} {clause.plan.kind}",
            "–" if clause.resolvable is None else _gap(clause, clause.resolvable),
            _calls(clause.expected_if_equal),
            _calls(clause.expected_if_bad),
        ]
        if screen.width >= NARROW:
            cells.append(_calls(clause.expected_midway))
        cells.append(_calls(clause.fixed_sample))
        table.add_row(*map(text, cells))
    screen.print(table)
    screen.print()
    for clause in found.clauses:
        if clause.needed is not None or clause.expected_if_equal is None:
            screen.print(text(f"{clause.plan.check}: {clause.sentence}"))
    if found.cost_per_call_usd:
        most = max((clause.plan.cap for clause in found.clauses), default=0)
        each = found.cost_per_call_usd * found.cases / found.units
        screen.print(
            text(f"about {found.cost_per_call_usd:.3g} USD a call: at most {each * most:.3g} USD a side")
        )
    option = f" --variant {found.variants[0]}" if found.variants else ""
    screen.print(text("next: ", "dim") + text(f"shiftright eval {found.feature}{option}"))


def _calls(number: float | None) -> str:
    return "–" if number is None else f"{number:,.0f}"


def _gap(clause: PlannedClause, gap: float) -> str:
    from shiftright.decisions.words import amount, points

    if clause.plan.kind == "mean_at_most":
        return amount(gap * (clause.plan.unit or 1.0), clause.plan.score)
    return points(gap)
