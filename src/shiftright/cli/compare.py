"""``shiftright compare``: two result files of any tool, the same two answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.evals.compare import Comparison

BROKE_SHOWN = 5
FIXED_SHOWN = 2
SLICES_SHOWN = 6

Margin = Annotated[
    str, typer.Option("--margin", metavar="DROP", help='The largest harmless drop: "3 points" or 3%.')
]
Metric = Annotated[str | None, typer.Option("--metric", metavar="NAME", help="Only this metric.")]
Scale = Annotated[
    list[str] | None,
    typer.Option(
        "--scale", metavar="NAME=WORST:BEST", help="A metric's scale, where it is not 0 to 1. Repeatable."
    ),
]


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Result file of the old version.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Result file of the new version.")],
    margin: Margin = "3 points",
    metric: Metric = None,
    scale: Scale = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show evidence and thresholds too.")] = False,
    json: Json = False,
) -> int:
    """Compare two result files of any tool.

    Reads promptfoo, inspect, DeepEval, MLflow, pydantic-evals, JUnit, CSV and JSONL; pairs cases by id or input."""
    from shiftright.evals.compare import compare as compared

    found = compared(old, new, margin=read_margin(margin), metric=metric, scales=read_scales(scale))
    if json:
        _output.print_json(found)
    else:
        print_comparison(found, explain=explain)
    return _output.EXIT[found.verdict]


def read_margin(given: str) -> float:
    """``3 points``, ``3%`` or ``0.03`` as a fraction."""
    number = given.strip().removesuffix("points").removesuffix("point").strip()
    scale = 1.0 if number == given.strip() and not number.endswith("%") else 0.01
    try:
        value = float(number.removesuffix("%")) * scale
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise UsageError(f"--margin {given!r} is no drop", hint='Write it like --margin "3 points".')
    return value


def read_scales(given: list[str] | None) -> dict[str, tuple[float, float]]:
    scales = {}
    for item in given or ():
        name, _, ends = item.partition("=")
        try:
            worst, best = (float(end) for end in ends.split(":"))
        except ValueError:
            raise UsageError(
                f"--scale {item!r} is no scale", hint="Write it like --scale helpful=1:5."
            ) from None
        scales[name] = (worst, best)
    return scales


def print_comparison(found: Comparison, *, explain: bool = False) -> None:
    from shiftright.cli._screen import console, text
    from shiftright.cli._verdict import print_answers, print_evidence, print_rows
    from shiftright.evals.compare.showing import alone

    screen = console()
    names = f"{Path(found.variant).name} against {Path(found.baseline).name}"
    counts = " · ".join(["", f"{found.pairs:,} pairs by {found.paired_by}", *alone(found)])
    screen.print(text(names, "bold") + text(counts, "dim"))
    screen.print()
    print_answers(screen, found.merge, found.verdict, found.reasons)
    _print_levels(screen, found)
    print_rows(screen, found.checks)
    if explain:
        print_evidence(screen, found.checks)
    _print_changes(screen, found)
    _print_slices(screen, found)
    if found.naive:
        screen.print(text("what common gates would have said of the merge", "dim"))
        for gate in found.naive:
            screen.print(text(f"  {gate.merge:3}  {gate.gate}") + text(f"  {gate.detail}", "dim"))
        screen.print()
    for note in found.notes:
        screen.print(text(f"note: {note}", "dim"))
    screen.print(text(f"{found.seconds:.1f} s · order of the pairs: seed {found.seed}", "dim"))


def _print_levels(screen: Any, found: Comparison) -> None:
    from shiftright.cli._screen import text
    from shiftright.core.counting import counted
    from shiftright.decisions.words import amount, percent

    for level in found.levels:
        screen.print(
            text(f"  {level.metric}: {percent(level.old)} → {percent(level.new)}")
            + text(f"   {counted(level.n)}", "dim")
        )
    for item in found.amounts:
        old, new = amount(item.old, item.name), amount(item.new, item.name)
        ratio = ""
        if item.ratio is not None and item.ratio_interval is not None:
            low, high = item.ratio_interval
            ratio = f"   ×{item.ratio:.2f} ({low:.2f} to {high:.2f}), advisory"
        screen.print(text(f"  {item.name}: {old} → {new}") + text(ratio, "dim"))
    if found.levels or found.amounts:
        screen.print()


def _print_changes(screen: Any, found: Comparison) -> None:
    from shiftright.cli._cases import print_lines
    from shiftright.cli._screen import text

    for name, cases in (("broke", found.broke), ("fixed", found.fixed)):
        if not cases:
            continue
        screen.print(text(f"{name} ({len(cases)})", "bold"))
        shown = BROKE_SHOWN if name == "broke" else FIXED_SHOWN
        for case in cases[:shown]:
            screen.print(text(f"  {case.case_id}", "bold") + text(f"  {', '.join(case.metrics)}", "dim"))
            lines = [("input", case.input), ("expected", case.expected)]
            lines += [
                ("before", case.old_failure or case.old_output),
                ("now", case.new_failure or case.new_output),
            ]
            print_lines(screen, [(label, value) for label, value in lines if value is not None])
        if len(cases) > shown:
            screen.print(text(f"  … and {len(cases) - shown} more (all with --json)", "dim"))
    if found.broke or found.fixed:
        screen.print()


def _print_slices(screen: Any, found: Comparison) -> None:
    from rich.table import Table

    from shiftright.cli._screen import text
    from shiftright.decisions.words import points

    if not found.slices:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("slice (advisory)", "metric", "cases", "change (95 % interval)", ""):
        table.add_column(name, overflow="fold", justify="right" if name == "cases" else "left")
    rows = found.slices
    chosen = rows if len(rows) <= SLICES_SHOWN else [*rows[: SLICES_SHOWN - 2], *rows[-2:]]
    for row in chosen:
        low, high = (points(end, signed=True).removesuffix(" points") for end in row.interval)
        change = f"{points(row.change, signed=True)} ({low} to {high})"
        cells = (row.tag, row.metric, f"{row.n:,}", change, "worse" if row.worse else "")
        table.add_row(*(text(cell) for cell in cells))
    screen.print(table)
    screen.print()
