"""``shiftright scout``: which model diffs could pay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.ship.scouting import Gpu, ModelUse, Scouted


def scout(
    feature: Annotated[
        str | None, typer.Argument(metavar="F", help="Of this feature; default: of all that have traffic.")
    ] = None,
    gpu_hour: Annotated[
        float | None, typer.Option("--gpu-hour", metavar="USD", help="What an hour of a machine costs.")
    ] = None,
    tokens_per_second: Annotated[
        float | None,
        typer.Option("--tokens-per-second", metavar="N", help="What it reads and writes together."),
    ] = None,
    json: Json = False,
) -> int:
    """List models that would be cheaper at your own traffic.

    From the price list and the traces of the last 30 days, without a call: what each model costs a month, and what
    others would cost that have the context window. Prices say nothing of quality: each line has its diff."""
    from shiftright.app import App
    from shiftright.cli._telemetry import traces_of
    from shiftright.ship.scouting import scout as scouted

    gpu = _gpu(gpu_hour, tokens_per_second)
    with App.here() as app, traces_of(app.settings) as telemetry:
        found = scouted(app.settings, telemetry, feature, gpu)
    if json:
        _output.print_json(found)
    else:
        _print(found)
    return _output.PASS


def _gpu(usd: float | None, tokens: float | None) -> Gpu | None:
    from shiftright.ship.scouting import Gpu

    if usd is None and tokens is None:
        return None
    if usd is None or tokens is None or usd <= 0 or tokens <= 0:
        raise UsageError(
            "a machine of your own needs its price and its speed, both above 0",
            hint="For example --gpu-hour 2.50 --tokens-per-second 1500 (read and written together, as you measured).",
        )
    return Gpu(usd, tokens)


def _print(found: Scouted) -> None:
    from shiftright.cli._screen import console, text

    screen = console()
    for use in found.uses:
        _print_use(use)
    days = f"{found.days:.0f} days" if found.days >= 2 else "a day"
    screen.print(text(f"traffic of {days}, as a month; prices: {found.prices}", "dim"))
    screen.print(
        text(
            "A price says nothing of quality, and the list not which models were withdrawn: run the diff.",
            "dim",
        )
    )


def _print_use(use: ModelUse) -> None:
    from rich.table import Table

    from shiftright.cli._screen import console, text
    from shiftright.decisions.words import percent
    from shiftright.ship.diff.saving import money

    screen = console()
    paid = use.note if use.usd_a_month is None else f"{money(use.usd_a_month)} a month"
    tokens = f"{use.input_tokens:,.0f} tokens in, {use.output_tokens:,.0f} out"
    screen.print(
        text(f"{use.feature} · {use.model}", "bold") + text(f" · {paid} · {use.calls:,.0f} calls, {tokens}")
    )
    if not use.candidates:
        screen.print(text(f"  {use.note or 'nothing on the list is a fifth cheaper'}", "dim"))
        screen.print()
        return
    table = Table(box=None, padding=(0, 2, 0, 2), pad_edge=False, header_style="dim")
    for name in ("model", "a month", "saves", "context"):
        table.add_column(name, overflow="fold", justify="left" if name == "model" else "right")
    for one in use.candidates:
        saves = (
            f"{money(abs(one.saves))} ({percent(abs(one.share))})"
            if one.saves > 0
            else f"−{money(-one.saves)}"
        )
        context = "–" if one.context is None else f"{one.context:,}"
        table.add_row(*map(text, (one.model, money(one.usd_a_month), saves, context)))
    screen.print(table)
    for one in use.candidates:
        if one.note:
            screen.print(text(f"  {one.model}: {one.note}", "dim"))
    paying = [one for one in use.candidates if one.saves > 0]
    same = [one for one in paying if one.model.startswith(f"{use.provider}:")]
    best = (same or paying or use.candidates)[-1]
    screen.print(text("  next: ", "dim") + text(best.command))
    screen.print()
