"""Cases that broke and cases that were fixed, briefly; slices by tag."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shiftright.cli._screen import text
from shiftright.evals.report.visible import short

if TYPE_CHECKING:
    from rich.console import Console

    from shiftright.core.answer import Answer
    from shiftright.evals.report.changes import CaseView
    from shiftright.evals.report.gather import RunReport

BROKE_SHOWN = 5
FIXED_SHOWN = 3
SLICES_SHOWN = 6


def print_changes(screen: Console, report: RunReport, *, every: bool = False) -> None:
    """Broke first. Without a baseline, the cases that fail."""
    broke, fixed = report.broke, report.fixed
    if report.baseline is None:
        broke, fixed = [case for case in report.cases if case.change == "fails"], []
    must = [case for case in report.cases if case.split == "must" and case.worst and case not in broke]
    run = report.run.id
    name = "failing" if report.baseline is None else "broke"
    _group(screen, f"{name} ({len(broke) + len(must)})", [*must, *broke], None if every else BROKE_SHOWN, run)
    _group(screen, f"fixed ({len(fixed)})", fixed, None if every else FIXED_SHOWN, run)


def _group(screen: Console, title: str, cases: Sequence[CaseView], most: int | None, run: str) -> None:
    if not cases:
        return
    screen.print(text(title, "bold"))
    for case in cases[:most]:
        _print_case(screen, case)
    if most is not None and len(cases) > most:
        screen.print(text(f"  … and {len(cases) - most} more: shiftright show {run}", "dim"))
    screen.print()


def _print_case(screen: Console, case: CaseView) -> None:
    said = ("must" if case.split == "must" else "", ", ".join(case.worst), ", ".join(case.tags[:4]))
    screen.print(text(f"  {case.id}", "bold") + text("  " + " · ".join(filter(None, said)), "dim"))
    lines: list[tuple[str, Any]] = []
    if case.known:
        lines.append(("input", case.value))
        if case.expected is not None:
            lines.append(("expected", case.expected))
    if case.baseline:
        lines.append(("before", output(case.baseline)))
    lines.append(("now", output(case.candidate)))
    why = (check.failure or check.explanation for check in case.checks if not check.passes)
    lines += [("because", reason) for reason in why if reason]
    print_lines(screen, lines)


def print_lines(screen: Console, lines: Sequence[tuple[str, Any]]) -> None:
    """Label and value, each value on at most two lines."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, min_width=12)
    grid.add_column(overflow="fold")
    for label, value in lines:
        grid.add_row(text(f"    {label}", "dim"), text(short(value, 2 * (screen.width - 18))))
    screen.print(grid)


def output(answers: Sequence[Answer]) -> Any:
    """The first answer's output, or why there is none."""
    if not answers:
        return "(not kept)"
    failure = answers[0].failure
    return answers[0].output if failure is None else f"failed ({failure.kind}): {failure.message}"


def print_slices(screen: Console, report: RunReport) -> None:
    from rich.table import Table

    from shiftright.decisions.words import percent, points

    rows = report.slices
    if not rows:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("slice (advisory)", "check"):
        table.add_column(name, overflow="fold")
    for name in ("cases", "now", "change (95 % interval)"):
        table.add_column(name, justify="right")
    table.add_column()
    # worst and best: the middle tells least
    chosen = rows if len(rows) <= SLICES_SHOWN else [*rows[: SLICES_SHOWN - 2], *rows[-2:]]
    for row in chosen:
        change = ""
        if row.change is not None and row.interval is not None:
            low, high = (points(end, signed=True).removesuffix(" points") for end in row.interval)
            change = f"{points(row.change, signed=True)} ({low} to {high})"
        worse = "worse" if row.worse else ""
        cells = (row.tag, row.check, f"{row.n:,}", percent(row.candidate), change, worse)
        table.add_row(*(text(cell) for cell in cells))
    screen.print(table)
    screen.print()
