"""``shiftright scan``: the AI features that a code base has already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json

if TYPE_CHECKING:
    from shiftright.improve.scan import Scan

SHOWN = 200


def scan(
    repo: Annotated[
        Path | None, typer.Argument(metavar="REPO", help="A folder; default: the current one.")
    ] = None,
    json: Json = False,
) -> int:
    """List the model calls, models and prompts in a code base. Nothing in it is run."""
    from shiftright.improve.scan import scan as scanned

    found = scanned(repo or Path.cwd())
    if json:
        _output.print_json(found)
    elif not found.found:
        _output.say(f"no model calls in {found.files:,} source files (Python, JavaScript, TypeScript)")
    else:
        _print(found)
    if found.unreadable:
        _output.tell(f"not read ({len(found.unreadable)}): {', '.join(found.unreadable[:5])}")
    return _output.PASS


def _print(scan: Scan) -> None:
    from rich.table import Table

    from shiftright.cli._screen import console, text
    from shiftright.evals.report.visible import short

    screen = console()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("", "what", "library", "in", "where"):
        table.add_column(name, no_wrap=True)
    for each in scan.found[:SHOWN]:
        place = f"{each.file}:{each.line}"
        table.add_row(
            text(each.kind, "dim"),
            text(short(each.what, 44)),
            text(each.library),
            text(short(each.within, 24)),
            text(place),
        )
    screen.print(table)
    calls = [each for each in scan.found if each.kind == "call"]
    models = sorted({each.what for each in scan.found if each.kind == "model"})
    if len(scan.found) > SHOWN:
        screen.print(text(f"… and {len(scan.found) - SHOWN:,} more: --json", "dim"))
    screen.print()
    screen.print(text(f"{len(calls):,} model calls in {len({each.file for each in calls}):,} files"))
    if models:
        screen.print(text(f"models: {short(', '.join(models), 300)}", "dim"))
    screen.print(text("next: ", "dim") + text("shiftright record -- COMMAND   (what these calls do, kept)"))
