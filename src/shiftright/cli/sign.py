"""``shiftright sign``: agree to a release, as whom the contract asks."""

from __future__ import annotations

from typing import Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Feature, Json, VariantName


def sign(
    feature: Feature,
    role: Annotated[
        str, typer.Option("--as", metavar="ROLE", help="A role of owner.sign_off in the contract, or owner.")
    ],
    variant: VariantName = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who signs; default: your user.")
    ] = None,
    json: Json = False,
) -> int:
    """Sign a release off in a role.

    It is of the variant as it was released and stands now; another release needs another. The owner agrees to a looser
    contract by it."""
    from shiftright.app import App
    from shiftright.cli._person import user
    from shiftright.ship import promotion

    name = by or user("--by")
    with App.here() as app:
        record = promotion.sign(app.settings, app.records, feature, variant, role=role, by=name)
        chosen = record.content["variant"]
        gate = promotion.gate(app.settings, app.records, feature, chosen)
    if json:
        _output.print_json(
            {
                "digest": record.digest,
                "record": record.number,
                "head": record.record,
                "role": role,
                "by": record.by,
                "looser": record.content["looser"],
                "missing": gate.missing,
            }
        )
        return _output.PASS
    _output.say(f"{record.feature} · {chosen} ({record.digest[:12]}): signed as {role} by {record.by}")
    for change in record.content["looser"]:
        _output.say(f"  agreed to: {change}")
    for need in gate.missing:
        _output.say(f"  still missing: {need.what}")
        _output.say(f"    {need.command}")
    return _output.PASS
