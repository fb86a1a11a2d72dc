"""``shiftright gate``: may this change merge?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shiftright.cli import _output
from shiftright.cli._options import Concurrency, Json, MaxCalls, MaxCost
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.app import App
    from shiftright.evals.report.gather import RunReport
    from shiftright.ship.gate import FeatureGate, Gate


def gate(
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="REF", help="Compare with the merge-base with REF; default: main line."
        ),
    ] = None,
    require: Annotated[
        str, typer.Option("--require", metavar="WHAT", help="What decides the exit code: merge or release.")
    ] = "merge",
    sign_off: Annotated[
        str | None,
        typer.Option(
            "--sign-off", metavar="NAME", help="The owner who agrees to a looser contract; kept visible."
        ),
    ] = None,
    record: Annotated[
        bool,
        typer.Option("--record", help="Write the models' answers to recordings/, for runners without keys."),
    ] = False,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the pull request's comment.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML for a CI server.")
    ] = None,
    max_calls: MaxCalls = None,
    max_cost_usd: MaxCost = None,
    concurrency: Concurrency = None,
    json: Json = False,
) -> int:
    """Decide about a pull request: may it merge?

    Finds the features that the change touches and evaluates each against what serves today. No is proven harm, a failed
    must case, a broken invariant, or a looser contract whose owner has not agreed."""
    from shiftright.app import App, wait
    from shiftright.cli._progress import progress
    from shiftright.evals.options import Options

    wanted = _required(require)
    options = Options.of(locals() | {"base": None})
    with App.here() as app:
        bar = progress(lambda: None)
        found = wait(app.gate(base=base, sign_off=sign_off, options=options, progress=bar))
        reports = _reports(app, found)
        if record:
            for path, count in wait(app.record(found)):
                _output.tell(f"wrote {path} ({count} answers): commit it")
        _write(found, reports, markdown, junit)
        if json:
            _output.print_json({**_document(found), "exit_code": found.exit_code(wanted)})
        else:
            _print(found)
    return found.exit_code(wanted)


def _required(word: str) -> Literal["merge", "release"]:
    if word == "merge" or word == "release":
        return word
    raise UsageError(f"--require {word}: merge or release", hint="shiftright gate --require release")


def _reports(app: App, gate: Gate) -> dict[str, RunReport]:
    """The runs that this machine made; a decision that came with the lock has its verdict only."""
    ids = [each.run_id for feature in gate.features for each in feature.variants if each.run_id]
    return {id_: app.report(id_) for id_ in ids if not id_.startswith("d-")}


def _document(gate: Gate) -> dict[str, object]:
    import msgspec

    return msgspec.structs.asdict(gate)


def _write(gate: Gate, reports: dict[str, RunReport], markdown: Path | None, junit: Path | None) -> None:
    from shiftright.cli.report import write
    from shiftright.ship.comment import to_junit, to_markdown

    if markdown is not None:
        write(markdown, to_markdown(gate, reports))
    if junit is not None:
        write(junit, to_junit(gate))


def _print(gate: Gate) -> None:
    from shiftright.cli._screen import console, text
    from shiftright.cli._verdict import calls_line, print_answers, print_rows
    from shiftright.ship.comment import NOTHING

    if not gate.features:
        _output.say(f"merge? yes. {NOTHING}")
        return
    screen = console()
    for feature in gate.features:
        screen.print(text(feature.feature, "bold") + text(f" · {', '.join(feature.files[:5])}", "dim"))
        screen.print()
        print_answers(screen, feature.merge, feature.verdict, feature.reasons)
        _print_contract(feature)
        for each in feature.variants:
            stored = " · decided before, nothing was run" if each.stored else ""
            against = f" against {each.baseline}" if each.baseline else ""
            screen.print(text(f"{each.variant}{against}", "bold") + text(stored, "dim"))
            if each.checks:
                print_rows(screen, each.checks)
            elif each.reasons:
                screen.print(text(f"  {each.reasons[0]}"))
            for note in each.notes:
                screen.print(text(f"note: {note}", "dim"))
            if each.run_id:
                screen.print(text(f"{calls_line(each.calls)} · run {each.run_id}", "dim"))
            screen.print()
    for note in gate.notes:
        screen.print(text(f"note: {note}", "dim"))


def _print_contract(feature: FeatureGate) -> None:
    from shiftright.cli._screen import console, text

    for line in feature.looser:
        agreed = f" (agreed to by {feature.signed_by})" if feature.signed_by else ""
        console().print(text(f"looser: {line}{agreed}", "yellow"))
    for note in feature.notes:
        console().print(text(f"note: {note}", "dim"))
