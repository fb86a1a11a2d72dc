"""``shiftright diff``: what changes when one side of a feature takes the place of another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Concurrency, Feature, Json, MaxCalls, MaxCost
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.app import App
    from shiftright.ship.diff.findings import ModelDiff
    from shiftright.store.telemetry import TraceReader


def diff(
    feature: Feature,
    old: Annotated[
        str, typer.Option("--from", metavar="A", help="A variant, release:DIGEST, or a model (openai:gpt-5).")
    ],
    new: Annotated[str, typer.Option("--to", metavar="B", help="What would take its place: named alike.")],
    traces: Annotated[
        str | None,
        typer.Option("--traces", metavar="SINCE", help="Replay live inputs: 24h, 7d, or since a date."),
    ] = None,
    cases: Annotated[
        str | None, typer.Option("--cases", metavar="SPLIT", help="Replay these cases; default: gate.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many inputs.")
    ] = None,
    max_calls: MaxCalls = None,
    max_cost_usd: MaxCost = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write it for a pull request.")
    ] = None,
    concurrency: Concurrency = None,
    json: Json = False,
) -> int:
    """Say what changes from A to B on real inputs.

    Replays cases, or live inputs as they were stored, on both sides: each check's verdict, cost, latency, length,
    refusals, format, language and tone; which inputs changed in which way; what it saves a month. Answers there are
    cost nothing: a capped or stopped diff goes on where it stood."""
    from shiftright.app import App, wait
    from shiftright.cli._expected import told
    from shiftright.cli._progress import progress
    from shiftright.evals.options import Options
    from shiftright.ship.diff.running import Asked
    from shiftright.web.moments import moment

    if traces is not None and cases is not None:
        raise UsageError("--traces and --cases are two sets of inputs", hint="Leave one of them out.")
    asked = Asked(feature, old, new, cases or "gate", traces, moment(traces), limit)
    options = Options.of(locals())
    with App.here() as app:
        with _telemetry(app) as telemetry:
            prepared = app.prepare_diff(asked, telemetry, options)
        bar = progress(lambda: told(prepared.expected, options))
        found = wait(app.diff(prepared, options, bar))
    _write(found, html, markdown)
    if json:
        _output.print_json(found)
    else:
        from shiftright.cli._diff import print_diff

        print_diff(found)
    return _output.EXIT[found.verdict]


@contextmanager
def _telemetry(app: App) -> Iterator[TraceReader | None]:
    """Traces, where there are any: what is replayed, and the traffic that a saving is counted by."""
    from shiftright.cli._telemetry import has_traces, traces_of

    if not has_traces(app.settings):
        yield None
        return
    with traces_of(app.settings) as telemetry:
        yield telemetry


def _write(found: ModelDiff, html: Path | None, markdown: Path | None) -> None:
    from shiftright.cli.report import write

    if html is not None:
        from shiftright.ship.diff.html import to_html

        write(html, to_html(found))
    if markdown is not None:
        from shiftright.ship.diff.markdown import to_markdown

        write(markdown, to_markdown(found))
