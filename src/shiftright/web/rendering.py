"""Pages from templates: everything that is not a template is text, whatever it looks like."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape

from shiftright.decisions import words
from shiftright.evals.report.difference import cut, laid_out
from shiftright.evals.report.html import SIGN
from shiftright.evals.report.visible import short, visible
from shiftright.web import sessions, static
from shiftright.web.conversation import preview

if TYPE_CHECKING:
    from jinja2 import Environment

    from shiftright.web.site import Site

NAVIGATION = (
    ("/", "Overview"),
    ("/traces", "Traces"),
    ("/inbox", "Inbox"),
    ("/runs", "Runs"),
    ("/costs", "Costs"),
    ("/playground", "Playground"),
)


def page(site: Site, request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page, or one block of its template where htmx asks for a part (``values["block"]``)."""
    template = environment().get_template(name)
    context = template.new_context(
        {
            "site": site,
            "path": request.url.path,
            "address": request.url,
            "navigation": NAVIGATION,
            "form_token": sessions.form_token(site, request.headers),
            **values,
        }
    )
    block = values.get("block")
    parts = template.blocks[block](context) if block else template.root_render_func(context)
    return HTMLResponse("".join(parts), status)


@cache
def environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(str(files("shiftright.web") / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    made.globals.update(asset=static.address, sign={**SIGN, "holds": "✓", "broken": "✗", "unclear": "?"})
    made.filters.update(
        percent=words.percent,
        usd=usd,
        ms=milliseconds,
        count=lambda value: f"{value:,}",
        when=when,
        short=short,
        preview=lambda text: short(preview(text), 160),
        within=within,
        laid_out=lambda value: cut(laid_out(value)),
    )
    return made


def usd(value: float | None) -> str:
    """Money as a person reads it; None is a price that is not known."""
    return "unknown" if value is None else words.amount(value, "cost")


def within(value: float, low: float, high: float) -> float:
    """Where a value stands between two others, in percent, at the ends where it is beyond them."""
    return round(100 * min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0), 2)


def milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    if value < 1000:
        return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
    return f"{value / 1000:.2f} s" if value < 60_000 else f"{value / 60_000:.1f} min"


def when(nanoseconds: int) -> Markup:
    """A moment: UTC in the page, in the reader's own time once the script has run."""
    try:
        moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return Markup("<time>out of range</time>")
    near = abs(time.time() - nanoseconds / 1e9) < 180 * 86400
    said = moment.strftime("%d %b %H:%M:%S" if near else "%d %b %Y %H:%M")
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        moment.isoformat(), escape(moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]), said
    )
