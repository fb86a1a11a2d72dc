"""``shiftright demo``: two result files compared in seconds, then a real feature judged by a real model."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftright.cli import _output
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.app import App
    from shiftright.core.spec import Spec
    from shiftright.evals.options import EvalRun
    from shiftright.evals.report.figures import SideFigures
    from shiftright.evals.report.gather import RunReport

EXAMPLES = ("compare", "triage")
OLD, NEW = "mixtral-8x7b-instruct-v0.1.jsonl", "mathstral-7b.jsonl"
UNCHANGED = "unchanged-trial-*.jsonl"
FEATURE = "triage"
PROGRAM = "shiftright"


def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to copy the examples.")] = Path(
        "shiftright-demo"
    ),
) -> int:
    """Show it on real data, in minutes, without a key.

    Two models' results compared, then an AI feature judged with the embedded model."""
    from shiftright.app import App

    kept = _copy(folder)
    changed = f" (kept as you changed them: {', '.join(kept)})" if kept else ""
    _output.say(f"The examples are in {folder}{changed}")
    _compared(folder / "compare")
    with App.here(folder) as app:
        _judged(app, folder)
    return _output.PASS


def _compared(folder: Path) -> None:
    """The part that takes seconds."""
    from shiftright.cli.aa import print_aa
    from shiftright.cli.compare import print_comparison
    from shiftright.evals.compare import aa, compare

    _heading("1  Two models on the same questions", f"shiftright compare {folder / OLD} {folder / NEW}")
    print_comparison(compare(folder / OLD, folder / NEW))
    _heading("2  Nothing changed: what gates say all the same", f"shiftright aa {folder / UNCHANGED}")
    print_aa(aa(*sorted(folder.glob(UNCHANGED))))


def _judged(app: App, folder: Path) -> None:
    """The part that takes minutes: every variant against the baseline, with the embedded model."""
    from shiftright import spec as specs
    from shiftright.models import local

    spec = specs.load(specs.find(FEATURE, app.settings.root))
    base = spec.baseline or "the merge-base"
    _heading(
        "3  Support triage, judged with a model on this machine", f"shiftright eval {FEATURE} --variant …"
    )
    wanted = {str(v["model"]).removeprefix("local:") for v in spec.variants.values() if "model" in v}
    missing = sorted(wanted - set(local.available()))
    if missing:
        _output.say(
            f"The embedded model ({', '.join(missing)}) is not installed, so this part cannot run. To get it:"
        )
        command = _command(Path.cwd())
        if not local.engine_installed():
            _output.say(f"  {local.INSTALL_ENGINE}")
        if not all(map(local.weights_installed, missing)):
            _output.say(f"  {command} doctor --install-model")
        _output.say(f"and run `{command} demo` again: what you have seen so far takes seconds.")
        return
    _output.say(f"baseline {base}; a variant passes when it is proven to lose less than the contract allows")
    _output.say()
    runs = [_evaluated(app, name) for name in spec.variants if name != spec.baseline]
    reports = [app.report(run.run_id) for run in runs]
    _print_board(spec, reports)
    _closing(app, folder, runs, reports)


def _evaluated(app: App, variant: str) -> EvalRun:
    from shiftright.app import wait
    from shiftright.cli._progress import progress
    from shiftright.cli._screen import console
    from shiftright.cli._verdict import print_answers, print_rows
    from shiftright.evals.options import Options

    _output.say(f"$ shiftright eval {FEATURE} --variant {variant}")
    run = wait(app.evaluate(FEATURE, Options(variant=variant), progress()))
    screen = console()
    print_answers(screen, run.verdict.merge, run.verdict.verdict, run.verdict.reasons)
    print_rows(screen, run.verdict.checks)
    return run


def _print_board(spec: Spec, reports: list[RunReport]) -> None:
    """All variants beside each other, each on the cases its own decision used."""
    from rich.table import Table

    from shiftright.cli._screen import answer, console, text

    screen = console()
    check = _quality(spec)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("variant", no_wrap=True)
    for name in (check, "cases", "s a message", "merge", "release"):
        table.add_column(name, justify="right")
    longest = max(reports, key=lambda report: len(report.cases))
    base = [case for case in longest.cases if case.split == "gate"]
    if longest.baseline is not None:
        levels = [view.baseline for case in base for view in case.checks if view.name == check]
        cells = (
            _level([level for level in levels if level is not None]),
            f"{len(base):,}",
            _pace(longest.baseline),
        )
        table.add_row(text(f"{longest.baseline.name} (baseline)"), *map(text, cells), text("–"), text("–"))
    for report in reports:
        scores = list(_scores(report, check).values())
        cells = _level(scores), f"{len(scores):,}", _pace(report.candidate)
        assert report.verdict is not None
        answers = answer(report.verdict.merge), answer(report.verdict.verdict)
        table.add_row(text(report.run.variant, "bold"), *map(text, cells), *answers)
    screen.print(table)
    screen.print()
    for sentence in _plain_code(spec, reports, check):
        screen.print(text(sentence, "bold"))


def _plain_code(spec: Spec, reports: list[RunReport], check: str) -> Iterator[str]:
    """What an AI engineer must be able to hear, if it is so: the best plain code and model variant on the cases
    that both have seen."""
    from shiftright.decisions.words import percent

    seen = {report.run.variant: _scores(report, check) for report in reports}
    plain = [name for name in seen if "model" not in spec.variants[name] and seen[name]]
    models = [name for name in seen if name not in plain and seen[name]]
    if not plain or not models:
        return
    best, rival = (max(names, key=lambda name: _mean(seen[name].values())) for names in (plain, models))
    common = seen[best].keys() & seen[rival].keys()
    if not common:
        return
    mine, theirs = (_mean(seen[name][case] for case in common) for name in (best, rival))
    compared = f"{percent(mine)} right against {percent(theirs)} of {rival}, on the {len(common)} cases that both ran"
    if mine > theirs:
        yield f"Plain code wins here: {best} calls no model and gets {compared}."
    elif mine == theirs:
        yield f"Plain code is enough here: {best} calls no model and gets {compared}."
    else:
        yield f"The model earns its keep here: {best}, plain code, gets {compared}."


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _scores(report: RunReport, check: str) -> dict[str, float]:
    return {
        case.id: view.candidate
        for case in report.cases
        if case.split == "gate"
        for view in case.checks
        if view.name == check and view.candidate is not None
    }


def _quality(spec: Spec) -> str:
    """The check that compares with the baseline, else the first."""
    relative = (check.name for check in spec.checks if any(clause.relative for clause in check.clauses))
    return next(relative, spec.checks[0].name)


def _level(scores: list[float]) -> str:
    from shiftright.decisions.words import percent

    return percent(sum(scores) / len(scores)) if scores else "–"


def _pace(figures: SideFigures) -> str:
    return "–" if figures.latency_p50_s is None else f"{figures.latency_p50_s:.2g}"


def _closing(app: App, folder: Path, runs: list[EvalRun], reports: list[RunReport]) -> None:
    from shiftright.evals.report.html import to_html

    pages = []
    for run, report in zip(runs, reports, strict=True):
        page = folder / f"report-{run.variant}.html"
        page.write_text(to_html(report), encoding="utf-8")
        pages.append(page)
    _output.say()
    _output.say("Reports, one self-contained page each:")
    for page in pages:
        _output.say(f"  {page.resolve()}")
    _output.say()
    _output.say("What to type next:")
    command = _command(folder)
    decided = f"{command} eval {FEATURE} --variant {runs[0].variant} --explain"
    _output.say(f"  cd {shlex.quote(str(folder))}")
    _output.say(f"  {command} show {runs[0].run_id}          every case that broke or was fixed")
    _output.say(f"  {decided}   decided: costs nothing now")
    _output.say(f"  {command} init                     a contract for a feature of your own")


def _command(folder: Path) -> str:
    """What to type in ``folder`` to get this very program: its name, or its path where the shell finds another."""
    here = Path(sys.executable).with_name(PROGRAM)
    found = shutil.which(PROGRAM)
    if not here.exists() or (found is not None and here.samefile(found)):
        return PROGRAM
    return shlex.quote(os.path.relpath(here, folder.resolve()))


def _heading(title: str, command: str) -> None:
    _output.say()
    _output.say(title)
    _output.say(f"$ {command}")
    _output.say()


def _copy(folder: Path) -> list[str]:
    """Copy the examples; a file that is there and differs is kept. Gives the names of those."""
    kept = []
    source = files("shiftright") / "examples"
    try:
        (folder / ".shiftright").mkdir(parents=True, exist_ok=True)
        for example in EXAMPLES:
            for relative, item in _tree(source / example, Path(example)):
                target = folder / relative
                data = item.read_bytes()
                if target.exists():
                    if target.read_bytes() != data:
                        kept.append(str(relative))
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"cannot write the examples: {error.strerror}", file=folder, hint="Name another folder."
        ) from None
    return kept


def _tree(item: Traversable, path: Path) -> Iterator[tuple[Path, Traversable]]:
    for child in item.iterdir():
        if child.is_dir() and child.name != "__pycache__":
            yield from _tree(child, path / child.name)
        elif child.is_file():
            yield path / child.name, child
