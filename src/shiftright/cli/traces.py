"""``shiftright traces``, ``trace`` and ``costs``: what live traffic asked, what came of it, what it cost."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json, OfFeature
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.core.trace import Rollup, SpanRow, TraceFilter, TraceRow

Since = Annotated[str | None, typer.Option("--since", metavar="WHEN", help="30m, 24h, 7d, or a date.")]
By = Literal["feature", "variant", "release", "model", "provider", "user", "service"]
TEXT_SHOWN = 2_000
_BAR = 24
_ID = 8
_GAP = 2
_LEAST_ASKED = 20


def traces(
    feature: OfFeature = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed.")] = False,
    since: Since = None,
    slower: Annotated[
        float | None, typer.Option("--slower", metavar="MS", help="That took at least so many milliseconds.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="WORDS", help="With these words in input or output.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=500, help="The newest N.")] = 20,
    json: Json = False,
) -> int:
    """List the newest traces."""
    from shiftright.app import App
    from shiftright.cli._telemetry import traces_of

    where = filter_of(feature, since, failed=failed or None, min_ms=slower, text=text)
    with App.here() as app, traces_of(app.settings) as telemetry:
        page = telemetry.traces(where, limit=limit)
    if json:
        _output.print_json({"data": [_whole(row) for row in page.data], "next_cursor": page.next_cursor})
    elif not page.data:
        _output.say("no such traces")
    else:
        _print_list(page.data)
    return _output.PASS


def trace(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="The trace's id, or its beginning.")],
    json: Json = False,
) -> int:
    """Show one trace: steps, messages, tokens and cost."""
    from shiftright.app import App
    from shiftright.cli._telemetry import traces_of

    with App.here() as app:
        with traces_of(app.settings) as telemetry:
            spans = telemetry.trace(_whole_id(telemetry, trace_id))
        scores = app.records.scores.of_trace(spans[0].trace_id) if spans and app.has_records else ()
    if not spans:
        raise UsageError(f"there is no trace {trace_id[:80]!r}", hint="List them: shiftright traces")
    if json:
        document = {"trace_id": spans[0].trace_id, "spans": [_whole(span) for span in spans]}
        _output.print_json(document | {"scores": [_whole(row) for row in scores]})
        return _output.PASS
    _print_trace(spans)
    for row in scores:
        value = "failed" if row.score.value is None else f"{row.score.value:g}"
        _output.say(
            f"  {row.score.name}: {value} {row.score.explanation or row.score.failure or ''}".rstrip()
        )
    return _output.PASS


def costs(
    feature: OfFeature = None,
    since: Since = "30d",
    by: Annotated[By, typer.Option("--by", help="One line for each of these.")] = "feature",
    json: Json = False,
) -> int:
    """Say what traffic cost, and how long it took."""
    from shiftright.app import App
    from shiftright.cli._telemetry import traces_of

    with App.here() as app, traces_of(app.settings) as telemetry:
        found = telemetry.rollups(filter_of(feature, since), bucket="day", by=by)
    if json:
        _output.print_json({"data": [_whole(row) for row in found]})
    elif not found:
        _output.say("no traffic in this time")
    else:
        _print_costs(found, by)
    return _output.PASS


def filter_of(
    feature: str | None,
    since: str | None,
    *,
    failed: bool | None = None,
    min_ms: float | None = None,
    text: str | None = None,
) -> TraceFilter:
    from shiftright.core.trace import TraceFilter
    from shiftright.web.moments import moment

    return TraceFilter(feature=feature, since_ns=moment(since), failed=failed, min_ms=min_ms, text=text)


def _whole(struct: Any) -> Any:
    """With fields that are at their default, which the structs' own encoding leaves out."""
    import msgspec

    return msgspec.structs.asdict(struct)


def _whole_id(telemetry: Any, given: str) -> str:
    """The id itself; a beginning is looked for among the newest traces, which is where lists show it from."""
    if len(given) == 32:
        return given
    page = telemetry.traces(limit=500)
    found = [row.trace_id for row in page.data if row.trace_id.startswith(given.lower())]
    if len(found) > 1:
        raise UsageError(f"{len(found)} traces begin with {given!r}", hint="Give more letters of the id.")
    return found[0] if found else given


def _print_list(rows: Sequence[TraceRow]) -> None:
    """Figures are whole at any width, where there is room for them; what was asked takes what is left."""
    from rich.cells import cell_len
    from rich.table import Table

    from shiftright.cli._screen import console, text
    from shiftright.evals.report.visible import short

    screen = console()
    for wide in (True, False):
        names, lines = _columns(rows, wide=wide)
        widths = [max(map(cell_len, column)) for column in zip(names, *lines, strict=True)]
        left = screen.width - sum(widths) - _GAP * len(widths)
        if left >= _LEAST_ASKED:
            break
    left = max(left, 1)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for name, width in zip((*names, "asked"), (*widths, left), strict=True):
        table.add_column(
            name, no_wrap=True, width=width, justify="right" if name in ("ms", "cost") else "left"
        )
    for row, line in zip(rows, lines, strict=True):
        cells = [text(cell, "red" if row.error and place == 2 else "") for place, cell in enumerate(line)]
        table.add_row(*cells, text(short(row.error or row.input_preview, left)))
    screen.print(table)


def _columns(rows: Sequence[TraceRow], *, wide: bool) -> tuple[list[str], list[list[str]]]:
    """Headings, and a line of cells per trace."""
    from shiftright.evals.report.visible import short

    lines = []
    for row in rows:
        name = ("✗ " if row.error else "") + short(row.feature or row.name, 24 if wide else 16)
        when, took = _when(row.start_ns), f"{row.duration_ms:,.0f}"
        if wide:
            tokens = f"{row.input_tokens:,}+{row.output_tokens:,}"
            lines.append([row.trace_id[:_ID], when, name, took, tokens, _usd(row.cost_usd)])
        else:
            lines.append([row.trace_id[:_ID], when[: -len(":00")], name, took])
    return ["trace", "when", "name", "ms", *(("tokens", "cost") if wide else ())], lines


def _print_trace(spans: Sequence[SpanRow]) -> None:
    from shiftright.cli._screen import console, text
    from shiftright.evals.report.visible import short, visible

    screen = console()
    began, ended = min(s.start_ns for s in spans), max(s.end_ns for s in spans)
    unpriced = any(span.cost_usd is None for span in spans)
    total = None if unpriced else sum(span.cost_usd or 0.0 for span in spans)
    tokens = f"{sum(s.input_tokens for s in spans):,}+{sum(s.output_tokens for s in spans):,} tokens"
    screen.print(text(f"trace {spans[0].trace_id}", "bold"))
    took = f"{(ended - began) / 1e6:,.0f} ms"
    screen.print(text(f"{_when(began)} · {took} · {tokens} · {_usd(total)}", "dim"))
    screen.print()
    for depth, span in _tree(spans):
        words = f"{'  ' * depth}{short(span.name, 40)}"
        facts = [f"{(span.end_ns - span.start_ns) / 1e6:,.0f} ms"]
        if span.model:
            facts.append(short(span.model, 40))
        if span.input_tokens or span.output_tokens:
            facts += [f"{span.input_tokens:,}+{span.output_tokens:,} tokens", _usd(span.cost_usd)]
        line = text(f"{_bar(span, began, ended)} ", "dim") + text(words)
        screen.print(line + text(f"  {' · '.join(facts)}", "dim"))
        if span.error:
            screen.print(text(f"{' ' * (_BAR + 1)}{'  ' * depth}✗ {short(span.error, 200)}", "red"))
    told = next((span for _, span in _tree(spans) if span.input or span.output), None)
    for name in ("input", "output") if told is not None else ():
        screen.print()
        screen.print(text(name, "dim"))
        whole = visible(getattr(told, name))
        cut = f"… ({len(whole):,} characters: --json has them all)" if len(whole) > TEXT_SHOWN else ""
        screen.print(text(whole[:TEXT_SHOWN] + cut))


def _tree(spans: Sequence[SpanRow]) -> Iterator[tuple[int, SpanRow]]:
    """Depth first, by start. Spans without a parent here are roots; a circle of parents is broken where it begins."""
    ids = {span.span_id for span in spans}
    below: dict[str, list[SpanRow]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start_ns):
        below[span.parent_span_id if span.parent_span_id in ids else ""].append(span)
    seen: set[str] = set()
    waiting = [(0, span) for span in reversed(below[""])] or [(0, span) for span in reversed(spans)]
    while waiting:
        depth, span = waiting.pop()
        if span.span_id in seen:
            continue
        seen.add(span.span_id)
        yield depth, span
        waiting += [(depth + 1, child) for child in reversed(below[span.span_id])]


def _bar(span: SpanRow, began: int, ended: int) -> str:
    width = max(ended - began, 1)
    start = min(int((span.start_ns - began) / width * _BAR), _BAR - 1)
    length = max(1, round((span.end_ns - span.start_ns) / width * _BAR))
    return (" " * start + "━" * length)[:_BAR].ljust(_BAR)


def _print_costs(found: Sequence[Rollup], by: str) -> None:
    from rich.table import Table

    from shiftright.cli._screen import console, text

    groups: dict[str, list[Rollup]] = defaultdict(list)
    for row in found:
        groups[row.group].append(row)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in (by, "traces", "failed", "tokens in+out", "cost", "USD each"):
        table.add_column(name, no_wrap=True, justify="left" if name == by else "right")
    unpriced = 0
    for name, rows in sorted(groups.items(), key=lambda item: -sum(row.cost_usd for row in item[1])):
        count, cost = sum(row.traces for row in rows), sum(row.cost_usd for row in rows)
        unpriced += sum(row.unpriced for row in rows)
        tokens = f"{sum(r.input_tokens for r in rows):,}+{sum(r.output_tokens for r in rows):,}"
        errors = f"{sum(row.errors for row in rows):,}"
        each = f"{cost / max(count, 1):.3g}"
        table.add_row(*map(text, (name or "–", f"{count:,}", errors, tokens, _usd(cost), each)))
    console().print(table)
    if unpriced:
        _output.say(f"{unpriced:,} model calls have no known price and are not in these sums.")


def _when(start_ns: int) -> str:
    return time.strftime("%d %b %H:%M:%S", time.localtime(min(start_ns // 10**9, 253_402_300_799)))


def _usd(cost: float | None) -> str:
    return "cost unknown" if cost is None else "no cost" if cost == 0 else f"{cost:.4g} USD"
