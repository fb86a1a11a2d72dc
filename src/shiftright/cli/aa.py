"""``shiftright aa``: how often a gate turns away a change that changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json
from shiftright.cli.compare import Metric, Scale, read_margin, read_scales
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.evals.compare import AaReport

FLAKY_SHOWN = 5


def aa(
    subjects: Annotated[
        list[str],
        typer.Argument(metavar="F | FILE FILE…", help="A feature, or result files of unchanged runs."),
    ],
    margin: Annotated[
        str | None,
        typer.Option(
            "--margin",
            metavar="DROP",
            help='The largest harmless drop; default: the contract\'s, or "3 points".',
        ),
    ] = None,
    metric: Metric = None,
    scale: Scale = None,
    json: Json = False,
) -> int:
    """Say how often gates flip when nothing changed.

    Of result files of unchanged runs, or of a feature's own repeated answers."""
    from shiftright.app import App, wait
    from shiftright.evals.compare import aa as of_files
    from shiftright.evals.compare import aa_feature

    drop = None if margin is None else read_margin(margin)
    if len(subjects) == 1 and not Path(subjects[0].partition("::")[0]).is_file():
        if metric is not None or scale:
            raise UsageError(
                "--metric and --scale are for result files",
                hint="A feature's contract says what is measured.",
            )
        with App.here() as app:
            found = wait(aa_feature(subjects[0], app.settings, app.records, margin=drop))
    else:
        found = of_files(
            *subjects, margin=0.03 if drop is None else drop, metric=metric, scales=read_scales(scale)
        )
    if json:
        _output.print_json(found)
    else:
        print_aa(found)
    return _output.PASS


def print_aa(found: AaReport) -> None:
    from rich.table import Table

    from shiftright.cli._screen import console, text
    from shiftright.decisions.words import percent

    screen = console()
    screen.print(text(found.sentence, "bold"))
    names = ", ".join(Path(part).name for part in found.subject.split(", "))
    screen.print(text(f"{names} · {found.cases:,} cases · nothing was changed between the runs", "dim"))
    screen.print()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("gate", overflow="fold")
    table.add_column("turns an unchanged run away", justify="right")
    if found.pairs:
        table.add_column("in the recorded pairs", justify="right")
    for gate in found.gates:
        style = "bold" if gate.ours else ""
        cells = [text(gate.gate, style), text(percent(gate.flips), style)]
        if found.pairs:
            cells.append(text(f"{gate.observed} of {found.pairs}", style))
        table.add_row(*cells)
    screen.print(table)
    screen.print()
    for noise in found.noise:
        within = f"of its variance {percent(1 - noise.icc)} is noise within a case"
        screen.print(text(f"{noise.metric}: {percent(noise.mean)} on average; {within}", "dim"))
    if found.flaky:
        shown = ", ".join(
            f"{case.case_id} ({case.passes} of {case.runs})" for case in found.flaky[:FLAKY_SHOWN]
        )
        screen.print(
            text(f"passes now and then: {shown}" + (" …" if len(found.flaky) > FLAKY_SHOWN else ""), "dim")
        )
    for note in found.notes:
        screen.print(text(f"note: {note}", "dim"))
    screen.print(
        text(
            f"{found.replications:,} resampled pairs of runs · seed {found.seed} · {found.seconds:.1f} s",
            "dim",
        )
    )
