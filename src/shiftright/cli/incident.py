"""``shiftright incidents`` and ``shiftright incident``: breaches of the contract on live traffic, and their end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.core.incident import Incident

_SHOWN = "%Y-%m-%d %H:%M"
_MOST = 50


def incidents(
    feature: Annotated[
        str | None, typer.Argument(metavar="[F]", help="Of one feature (default: all).")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    json: Json = False,
) -> int:
    """List incidents, newest first."""
    from shiftright import spec as specs
    from shiftright.app import App

    with App.here() as app:
        name = None
        if feature is not None:
            name = specs.load(specs.find(feature, app.settings.root)).feature
        found = app.records.incidents.list(feature=name, limit=_MOST) if app.has_records else ()
    shown = [incident for incident in found if all_ or incident.status != "closed"]
    if json:
        _output.print_json({"incidents": shown})
        return _output.PASS
    for incident in shown:
        _output.say(_line(incident))
    if not shown:
        closed = len(found)
        _output.say("No incident is open." + (f" {closed} closed: --all shows them." if closed else ""))
    return _output.PASS


def incident(
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="The incident, or how its id begins.")],
    ack: Annotated[bool, typer.Option("--ack", help="You look after it.")] = False,
    close: Annotated[bool, typer.Option("--close", help="It is over. Needs --case or --no-case.")] = False,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who does this (default: your user).")
    ] = None,
    case: Annotated[str, typer.Option("--case", metavar="ID", help="The `must` case that came of it.")] = "",
    no_case: Annotated[
        str, typer.Option("--no-case", metavar="REASON", help="Why no `must` case came of it.")
    ] = "",
    postmortem: Annotated[
        bool, typer.Option("--postmortem", help="Print the postmortem drafted from the records, as Markdown.")
    ] = False,
    json: Json = False,
) -> int:
    """Show an incident, acknowledge it, close it."""
    from shiftright.app import App
    from shiftright.cli._person import user
    from shiftright.monitor import incidents as engine
    from shiftright.monitor.postmortem import draft

    if ack and close:
        raise UsageError("--ack and --close are two moments", hint="Use one of them.")
    if (case or no_case) and not close:
        raise UsageError("--case and --no-case belong to --close")
    with App.here() as app:
        found = app.records.incidents.get(incident_id)
        if ack:
            found = engine.acknowledge(app.records, found.id, by or user("--by"))
        if close:
            found = engine.close(
                app.records, app.settings, found.id, by or user("--by"), case_id=case, no_case=no_case
            )
        told = engine.described(app.records, found)
        if postmortem:
            text = found.postmortem or draft(app.records, found)
            told["postmortem"] = text
    if json:
        _output.print_json(told)
    elif postmortem:
        _output.say(text.rstrip("\n"))
    else:
        _say(told)
    return _output.PASS


def _line(incident: Incident) -> str:
    since = time.strftime(_SHOWN, time.localtime(incident.opened_at))
    return f"{incident.id}  {incident.status:<12}  {since}  {incident.feature}  {incident.title}"


def _say(told: dict[str, Any]) -> None:
    incident: Incident = told["incident"]
    _output.say(_line(incident))
    facts = {
        "kind": incident.kind,
        "release": incident.release[:12],
        "rollout": incident.rollout,
        "owner": incident.owner,
        "changed": str(incident.subject.get("changed", "")),
        "case": incident.case_id,
    }
    for name, value in facts.items():
        if value:
            _output.say(f"  {name}: {value}")
    for event in incident.timeline:
        at = time.strftime(_SHOWN, time.localtime(event.at))
        _output.say(f"  {at}  {event.what}" + (f" ({event.by})" if event.by else ""))
    for row in told["told"]:
        said = f", {row['attempts']} tries: {row['error']}" if row["error"] else ""
        _output.say(f"  told {row['channel']}: {row['event']}, {row['status']}{said}")
    for trace_id in incident.subject.get("traces", ()):
        _output.say(f"  shiftright trace {trace_id}")
    if incident.status != "closed":
        cases = told["cases"]
        way = f"--case {cases[0]}" if cases else "--case ID (of shiftright review) or --no-case REASON"
        _output.tell(f"To close it: shiftright incident {incident.id} --close {way}")
