"""``shiftright draft``: from recorded traffic to a contract that a person then edits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.improve.observed import Observed

TRACES = "traces"


def draft(
    feature: Annotated[
        str, typer.Option("--feature", metavar="NAME", help="What the feature is to be called.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="traces|FILE",
            help="Recorded traces, or a table or result file with inputs and outputs.",
        ),
    ] = TRACES,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Where to write; default: a folder of that name."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="The newest N traces.")] = 500,
    json: Json = False,
) -> int:
    """Draft a contract and cases from traces and their labels.

    Nothing that is there is overwritten."""
    from shiftright.improve.draft import draft as drafted

    _require_name(feature)
    made = drafted(feature, _observed(feature, source, limit))
    target = folder or Path(feature)
    taken = [str(target / name) for name in made.files if (target / name).exists()]
    if taken:
        raise UsageError(f"{taken[0]} is there already: nothing was written", hint="Name another --folder.")
    try:
        for name, content in made.files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(content)
    except OSError as error:
        raise UsageError(
            f"cannot write: {error.strerror}", file=target, hint="Name another --folder."
        ) from None
    if json:
        files = [target / name for name in made.files]
        _output.print_json({"feature": feature, "files": files, "found": made.found, "edit": made.edits})
        return _output.PASS
    for name in made.files:
        _output.say(f"  wrote {target / name}")
    for note in made.found:
        _output.say(note)
    _output.say("\nfor a person to edit:")
    for edit in made.edits:
        _output.say(f"  - {edit}")
    _output.say(f"\nnext:\n  shiftright check {target}     what its cases can decide")
    return _output.PASS


def _require_name(feature: str) -> None:
    from shiftright.spec.values import NAME

    try:
        NAME.read(feature)
    except ValueError as cause:
        raise UsageError(f"--feature: {feature!r} is no name: {cause}") from None


def _observed(feature: str, source: str, limit: int) -> list[Observed]:
    from shiftright.improve.observed import of_file, of_traces

    if source != TRACES:
        return of_file(Path(source))
    from shiftright.app import App
    from shiftright.cli._telemetry import traces_of

    with App.here() as app, traces_of(app.settings) as telemetry:
        return of_traces(app.records, telemetry, feature, limit=limit)
