"""The two answers on top, then one row per clause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shiftright.cli._screen import NARROW, answer, text

if TYPE_CHECKING:
    from rich.console import Console

    from shiftright.core.verdict import Calls, CheckRow

LABELS = {"merge": "MERGE?  ", "release": "RELEASE?"}


def print_answers(screen: Console, merge: str, verdict: str, reasons: Sequence[str]) -> None:
    """MERGE? and RELEASE?, each with the reason that binds."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    first = reasons[0] if reasons else ""
    harm = first if merge == "no" else "no harm is proven"
    grid.add_row(text(LABELS["merge"], "bold"), answer(merge), text(harm))
    grid.add_row(text(LABELS["release"], "bold"), answer(verdict), text(first))
    screen.print(grid)
    screen.print()


def print_rows(screen: Console, rows: Sequence[CheckRow], *, decided: bool = True) -> None:
    """A table where there is room, a block per clause on a narrow screen. ``decided``: verdicts are shown."""
    if screen.width < NARROW:
        _print_blocks(screen, rows, decided)
    else:
        _print_table(screen, rows, decided)
    screen.print()


def _print_table(screen: Console, rows: Sequence[CheckRow], decided: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from shiftright.decisions.words import board_count

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("check", no_wrap=True)
    table.add_column("must hold, and where it stands", ratio=1, overflow="fold")
    levels = {row.level for row in rows if row.interval is not None}
    level = f"{levels.pop():.0%} " if len(levels) == 1 else ""
    table.add_column(f"measured ({level}interval)", min_width=22)
    table.add_column("cases", justify="right")
    if decided:
        table.add_column("verdict", no_wrap=True)
    for row in rows:
        estimate, interval = measured(row)
        cells = [
            text(row.check, "bold"),
            Text.assemble(text(row.target), "\n", text(row.reason, "dim")),
            Text.assemble(text(estimate), "\n", text(interval, "dim")) if interval else text(estimate),
            text(board_count(row.n, row.cases)),
        ]
        table.add_row(*cells, *([answer(row.verdict)] if decided else []))
    screen.print(table)


def _print_blocks(screen: Console, rows: Sequence[CheckRow], decided: bool) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from shiftright.decisions.units import Units
    from shiftright.decisions.words import counted

    for row in rows:
        estimate, interval = measured(row)
        head = Text.assemble(text(row.check, "bold"), "  ")
        screen.print(Text.assemble(head, answer(row.verdict)) if decided else head)
        cases = counted(Units(row.n, row.n if row.cases is None else row.cases))
        screen.print(Padding(text(row.target), (0, 0, 0, 2), expand=False))
        screen.print(
            Padding(text(f"{estimate} {interval}".strip() + f", {cases}"), (0, 0, 0, 2), expand=False)
        )
        screen.print(Padding(text(row.reason, "dim"), (0, 0, 0, 2), expand=False))


def measured(row: CheckRow) -> tuple[str, str]:
    """The estimate and its interval in the tested quantity's own words."""
    from shiftright.decisions.words import quantity

    score = "latency" if " ms" in row.target or row.target.endswith(" s") else "cost"
    estimate = quantity(row.clause, row.estimate, score)
    if row.interval is None:
        return estimate, ""
    low, high = (
        quantity(row.clause, end, score).removesuffix(" points").removesuffix(" point")
        for end in row.interval
    )
    return estimate, f"({low} to {high})"


def print_evidence(screen: Console, rows: Sequence[CheckRow]) -> None:
    """``--explain``: e-values against their thresholds."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("check", "clause"):
        table.add_column(name, overflow="fold")
    for name in ("evidence to ship", "ships at", "evidence to block", "blocks at"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [_evidence(value) for value in (row.e_ship, row.ship_at, row.e_block, row.block_at)]
        table.add_row(text(row.check, "bold"), text(row.clause), *map(text, cells))
    screen.print(table)
    explained = (
        "Evidence is an e-value: what one unit bet against the claim has grown to. Under a false claim it exceeds "
        "1/p with probability at most p, however often one looks. A clause ships at 1/wrong_ship; it blocks at "
        "1/(its share of wrong_block)."
    )
    screen.print(text(explained, "dim"))
    screen.print()


def _evidence(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if 100 <= value < 1e6 else f"{value:.3g}"


def calls_line(calls: Calls) -> str:
    """``58 calls (+58 baseline, 12 from the records); fixed-size test 155, limit 48``."""
    from shiftright.core.counting import counted

    said = counted(calls.made, "call")
    extra = []
    if calls.baseline_made:
        extra.append(f"{calls.baseline_made:,} of the baseline")
    if calls.cached:
        extra.append(f"{counted(calls.cached, 'answer')} reused")
    if extra:
        said += f" (+ {', '.join(extra)})"
    if calls.fixed_sample is not None:
        said += f" · a fixed-size test of equal power: {counted(calls.fixed_sample)}"
    if calls.limit is not None:
        said += f" · no test can do with fewer than {calls.limit:,.0f} on average"
    return said
