"""``shiftright key``: who may use a server of this project."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json

key = typer.Typer(help="Keys for the server: create, list, revoke.", rich_markup_mode=None)


@key.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    per_minute: Annotated[
        float | None, typer.Option("--per-minute", metavar="N", min=0.01, help="Requests a minute.")
    ] = None,
    month_at_most: Annotated[
        float | None, typer.Option("--month-at-most", metavar="USD", min=0.0, help="USD a month.")
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option("--feature", metavar="F", help="Only this feature or model; several are possible."),
    ] = None,
    json: Json = False,
) -> int:
    """Make a key. Its text is shown once and kept nowhere."""
    from shiftright.app import App
    from shiftright.store.keys import Limits

    with App.here() as app:
        made, secret = app.records.keys.create(name, Limits(per_minute, month_at_most, tuple(feature or ())))
    if json:
        _output.print_json({"id": made.id, "name": made.name, "key": secret, "limits": made.limits})
    else:
        _output.say(secret)
        _output.tell("Keep it now: it is not shown again.")
    return _output.PASS


@key.command("list")
def list_(json: Json = False) -> int:
    """Show the keys there are, without their text."""
    from shiftright.app import App

    with App.here() as app:
        keys = app.records.keys.list() if app.has_records else ()
    if json:
        _output.print_json(
            {
                "data": [
                    {
                        "id": each.id,
                        "name": each.name,
                        "limits": each.limits,
                        "created_at": each.created_at,
                        "revoked_at": each.revoked_at,
                    }
                    for each in keys
                ]
            }
        )
        return _output.PASS
    for each in keys:
        state = "in use" if each.revoked_at is None else "revoked"
        made = time.strftime("%Y-%m-%d", time.localtime(each.created_at))
        _output.say(f"{each.id}  {each.name}  {made}  {state}")
    if not keys:
        _output.say("There are no keys yet: shiftright key create NAME")
    return _output.PASS


@key.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A key's name or id.")],
    json: Json = False,
) -> int:
    """Refuse a key from now on; a running server follows within two seconds."""
    from shiftright.app import App

    with App.here() as app:
        gone = app.records.keys.revoke(name)
    if json:
        _output.print_json({"id": gone.id, "name": gone.name, "revoked_at": gone.revoked_at})
    else:
        _output.say(f"{gone.name} ({gone.id}) is revoked")
    return _output.PASS
