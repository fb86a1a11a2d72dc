"""``shiftright erase``: one trace, user or session forgotten."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json
from shiftright.core.counting import counted
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.core.trace import Erasable


def erase(
    trace: Annotated[
        str | None, typer.Option("--trace", metavar="ID", help="This trace, by its whole id.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="Every trace in which this user is named.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="Every trace of this session.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> int:
    """Forget a trace, a user or a session for good.

    Spans go, and the texts of feedback, reviews and scores about them; it is said what stays.
    """
    from shiftright.app import App
    from shiftright.cli._telemetry import ServedTraces
    from shiftright.monitor.erasing import STAYS
    from shiftright.tracing.handover import owner_of

    what, name = _asked(trace, user, session)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("this cannot be undone", hint="Say --yes to go on without being asked.")
        if not typer.confirm(f"Forget {what} {name!r} for good?"):
            _output.say("nothing was erased")
            return _output.PASS
    with App.here() as app:
        url = owner_of(app.settings.home)
        if url is None:
            erased = app.erase(what, name)
        else:
            app.await_spool()
            erased = ServedTraces(url, app.settings.key).erase(what, name)
    if json:
        _output.print_json({"what": what, "name": name, "erased": erased, "stays": STAYS})
        return _output.PASS
    texts = erased.texts
    _output.say(f"erased {counted(erased.traces, 'trace')} ({counted(erased.spans, 'span')})")
    _output.say(
        f"  texts of {texts.feedback} feedback, {counted(texts.reviews, 'review')}, {counted(texts.scores, 'score')}; "
        f"{counted(texts.answers, 'answer')} of diffs"
    )
    _output.say(f"  what stays: {STAYS}")
    return _output.PASS


def _asked(trace: str | None, user: str | None, session: str | None) -> tuple[Erasable, str]:
    named: list[tuple[Erasable, str]] = []
    for what, name in (("trace", trace), ("user", user), ("session", session)):
        if name:
            named.append((what, name))  # type: ignore[arg-type]
    if len(named) != 1:
        raise UsageError("what is to be erased?", hint="Name one: --trace ID, --user ID or --session ID")
    return named[0]
