"""``shiftright runs``: what was run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json

if TYPE_CHECKING:
    from shiftright.app import App
    from shiftright.store.rows import RunRow


def runs(
    feature: Annotated[str | None, typer.Argument(metavar="F", help="Of this feature only.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="The newest N.")] = 20,
    json: Json = False,
) -> int:
    """List the newest runs."""
    from shiftright.app import App

    with App.here() as app:
        found = list(app.records.runs.list(feature, limit=limit)) if app.has_records else []
        if feature is not None and not found:
            _require_known(app, feature)
    if json:
        _output.print_json({"runs": [_as_document(run) for run in found]})
    elif not found:
        _output.say("no runs yet: shiftright eval FEATURE")
    else:
        _print(found)
    return _output.PASS


def _require_known(app: App, feature: str) -> None:
    """
    Raises:
        UsageError: when neither a contract nor a run has that name.
    """
    from shiftright import spec as specs

    root = app.settings.root
    known = {*specs.names(root), *(app.records.runs.features() if app.has_records else ())}
    if feature not in known:
        raise specs.unknown(feature, known, root)


def _as_document(run: RunRow) -> dict[str, Any]:
    import msgspec

    plain = msgspec.structs.asdict(run)
    verdict = run.verdict
    return {
        **plain,
        "verdict": verdict.verdict if verdict else None,
        "merge": verdict.merge if verdict else None,
    }


def _print(found: list[RunRow]) -> None:
    from rich.table import Table

    from shiftright.cli._screen import NARROW, answer, console, text

    screen = console()
    wide = screen.width >= NARROW
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in (
        "run",
        "when",
        "feature · variant",
        "merge",
        "release",
        *(("calls", "cost") if wide else ()),
    ):
        table.add_column(
            name, no_wrap=name == "run", justify="right" if name in ("calls", "cost") else "left"
        )
    for run in found:
        verdict = run.verdict
        against = f" against {run.baseline}" if run.baseline else ""
        cells = [
            text(run.id),
            text(time.strftime("%d %b %H:%M", time.localtime(run.started_at))),
            text(f"{run.feature} · {run.variant}{against}"),
            answer(verdict.merge) if verdict else text("–"),
            answer(verdict.verdict) if verdict else text(_status(run), "dim"),
        ]
        if wide:
            cost = "unknown" if run.cost_usd is None else f"{run.cost_usd:.3g}"
            cells += [text(f"{run.made + run.baseline_made:,}"), text(cost)]
        table.add_row(*cells)
    screen.print(table)


def _status(run: RunRow) -> str:
    return "a look" if run.status == "done" else run.status
