"""A model diff on a terminal: the advice, then what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftright.cli._screen import answer, text

if TYPE_CHECKING:
    from rich.console import Console

    from shiftright.ship.diff.findings import Behaviour, ModelDiff

GROUPS = 8
SLICES = 6


def print_diff(found: ModelDiff) -> None:
    """Everything that fits a screen or two; ``--html`` has the rest."""
    from shiftright.cli._screen import console
    from shiftright.cli._verdict import calls_line, print_rows

    screen = console()
    screen.print(
        text(f"{found.feature} · {found.old.name} → {found.new.name}", "bold")
        + text(f" · {found.inputs}", "dim")
    )
    screen.print()
    screen.print(answer(found.verdict) + text(f"  {found.recommendation[0]}"))
    for said in found.recommendation[1:]:
        screen.print(text(f"  {said}"))
    screen.print()
    if found.checks:
        print_rows(screen, found.checks)
    _print_beside(screen, found)
    _print_groups(screen, found)
    _print_slices(screen, found)
    for note in found.notes:
        screen.print(text(f"note: {note}", "dim"))
    cost = "cost unknown (no price)" if found.cost_usd is None else f"{found.cost_usd:.4g} USD"
    screen.print(
        text(f"{calls_line(found.calls)} · {cost} · {found.seconds:.1f} s · run {found.run_id}", "dim")
    )
    screen.print(text("next: ", "dim") + text(f"{found.command} --html diff.html"))


def _print_beside(screen: Console, found: ModelDiff) -> None:
    from rich.table import Table

    from shiftright.ship.diff.showing import beside

    rows = beside(found)
    if not rows:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("", found.old.name, found.new.name, "change (95 % interval)", ""):
        table.add_column(name, overflow="fold", justify="left" if name == "" else "right")
    for row in rows:
        table.add_row(
            *(text(cell) for cell in (row.name, row.old, row.new, row.change)), text(row.mark, "bold")
        )
    screen.print(table)
    screen.print()


def _print_groups(screen: Console, found: ModelDiff) -> None:
    from shiftright.core.counting import counted
    from shiftright.ship.diff.showing import extent

    if found.cases:
        same = f"{counted(found.unchanged, 'input')} of {found.cases:,} in none of these groups"
        screen.print(text("what changed", "bold") + text(f" · {same}", "dim"))
    for group in found.behaviours[:GROUPS]:
        mark = " · beyond chance" if group.marked else ""
        screen.print(text(f"  {group.name}", "bold") + text(f"  {extent(group)}{mark}", "dim"))
        _print_group(screen, group)
    if len(found.behaviours) > GROUPS:
        more = len(found.behaviours) - GROUPS
        screen.print(text(f"  … and {counted(more, 'more group')} (all with --html or --json)", "dim"))
    screen.print()


def _print_group(screen: Console, group: Behaviour) -> None:
    from shiftright.cli._cases import print_lines
    from shiftright.ship.diff.showing import said

    if group.clusters:
        names = "; ".join(f"{cluster.name} ({len(cluster.cases)})" for cluster in group.clusters)
        screen.print(text(f"    inputs with: {names}", "dim"))
    if group.examples:
        first = group.examples[0]
        lines = [("input", first.input), ("before", said(first, "old")), ("now", said(first, "new"))]
        print_lines(screen, lines)


def _print_slices(screen: Console, found: ModelDiff) -> None:
    from rich.table import Table

    from shiftright.decisions.words import points

    if not found.slices:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("slice (advisory)", "check", "cases", "change (95 % interval)", ""):
        table.add_column(name, overflow="fold", justify="right" if name == "cases" else "left")
    for row in found.slices[:SLICES]:
        low, high = (points(end, signed=True).removesuffix(" points") for end in row.interval)
        change = f"{points(row.change, signed=True)} ({low} to {high})"
        table.add_row(*map(text, (row.tag, row.metric, f"{row.n:,}", change, "worse" if row.worse else "")))
    screen.print(table)
    screen.print()
