"""``shiftright show``: one run in the terminal, every case that broke; or two runs beside each other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.evals.report.changes import CaseView
    from shiftright.evals.report.gather import RunReport
    from shiftright.ship.promotion import Kept


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or its beginning.")],
    against: Annotated[
        str | None, typer.Option("--against", metavar="RUN", help="Show what changed since this other run.")
    ] = None,
    json: Json = False,
) -> int:
    """Show a run: answers, rows, every broken case."""
    from shiftright.app import App
    from shiftright.ship.promotion import releases_of

    with App.here() as app:
        report = app.report(run)
        other = app.report(against) if against is not None else None
        kept = releases_of(app.records, report.run.feature, report.run.variant_digest)
    if other is not None and other.run.feature != report.run.feature:
        raise UsageError(
            f"{report.run.id} is a run of {report.run.feature}, {other.run.id} one of {other.run.feature}",
            hint="Compare runs of one feature.",
        )
    if json:
        document = _as_document(report) | {"releases": kept}
        if other is not None:
            document["against"] = {"run_id": other.run.id, "changed": _changed(report, other)}
        _output.print_json(document)
    else:
        _print(report, other, kept)
    return _output.PASS


def _as_document(report: RunReport) -> dict[str, Any]:
    verdict = report.verdict
    return {
        "run_id": report.run.id,
        "feature": report.run.feature,
        "variant": report.run.variant,
        "baseline": report.run.baseline,
        "status": report.run.status,
        "verdict": verdict.verdict if verdict else None,
        "merge": verdict.merge if verdict else None,
        "reasons": verdict.reasons if verdict else (),
        "checks": report.rows,
        "calls": report.calls,
        "cost_usd": report.run.cost_usd,
        "seed": report.run.seed,
        "attempt": report.attempt,
        "cases": [_case(case) for case in report.cases],
        "slices": report.slices,
        "sides": {"candidate": report.candidate, "baseline": report.baseline},
        "notes": [*report.judges, *report.gone],
        "command": report.command,
    }


def _case(case: CaseView) -> dict[str, Any]:
    import msgspec

    plain = msgspec.structs.asdict(case)
    for side in ("candidate", "baseline"):
        plain[side] = [
            {"output": a.output, "failure": a.failure, "latency_s": a.latency_s, "cost_usd": a.cost_usd}
            for a in getattr(case, side)
        ]
    return plain


def _changed(report: RunReport, other: RunReport) -> list[dict[str, Any]]:
    """Cases of both runs on which the candidate's result differs."""
    before = {(case.split, case.id): case for case in other.cases}
    found = []
    for case in report.cases:
        old = before.get((case.split, case.id))
        if old is not None and bool(old.worst) != bool(case.worst):
            found.append(
                {
                    "id": case.id,
                    "split": case.split,
                    "change": "broke" if case.worst else "fixed",
                    "checks": case.worst or old.worst,
                }
            )
    return sorted(found, key=lambda item: (item["change"], item["id"]))


def _print(report: RunReport, other: RunReport | None, kept: tuple[Kept, ...]) -> None:
    from shiftright.cli._cases import print_changes, print_slices
    from shiftright.cli._progress import title
    from shiftright.cli._screen import console, text
    from shiftright.cli._verdict import calls_line, print_answers, print_rows

    screen = console()
    run = report.run
    when = time.strftime("%d %b %Y %H:%M", time.localtime(run.started_at))
    screen.print(text(title(run.feature, run.variant, run.baseline), "bold") + text(f" · {when}", "dim"))
    screen.print()
    if report.verdict is None:
        ended = {
            "done": "a look: nothing was decided",
            "error": "ended with an error",
            "running": "still running",
            "interrupted": "interrupted: its process is gone; the same command goes on",
        }
        screen.print(text(ended.get(run.status, "stopped before it was decided; the same command goes on")))
        screen.print()
    else:
        print_answers(screen, report.verdict.merge, report.verdict.verdict, report.verdict.reasons)
        print_rows(screen, report.rows)
    if other is not None:
        _print_changed(screen, report, other)
    else:
        print_changes(screen, report, every=True)
    print_slices(screen, report)
    for note in (*report.judges, *report.gone):
        screen.print(text(f"note: {note}", "dim"))
    screen.print(text(calls_line(report.calls), "dim"))
    _print_releases(screen, kept)
    screen.print(text(f"run {run.id} · seed {run.seed} · repeat it: {report.command}", "dim"))


def _print_releases(screen: Any, kept: tuple[Kept, ...]) -> None:
    from shiftright.cli._screen import text
    from shiftright.cli.release import override_lines

    for release in kept:
        serves = ", which serves everybody" if release.stable else ""
        day = time.strftime("%Y-%m-%d", time.localtime(release.at))
        screen.print(text(f"released as {release.digest[:12]} on {day}{serves}"))
        for change in release.looser:
            screen.print(text(f"  ! under a looser contract: {change}"))
        for line in override_lines(release.overrides):
            screen.print(text(f"  {line}"))


def _print_changed(screen: Any, report: RunReport, other: RunReport) -> None:
    from shiftright.cli._screen import text

    changed = _changed(report, other)
    both = {(case.split, case.id) for case in report.cases} & {(case.split, case.id) for case in other.cases}
    screen.print(
        text(
            f"since {other.run.id} ({other.run.variant}): {len(changed)} of {len(both)} cases of both differ",
            "bold",
        )
    )
    for item in changed:
        screen.print(text(f"  {item['change']:5}  {item['id']}  ") + text(", ".join(item["checks"]), "dim"))
    screen.print()
