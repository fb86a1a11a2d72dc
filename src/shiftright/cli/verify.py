"""``shiftright verify``: are the records of releases what was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json


def verify(
    head: Annotated[
        str | None,
        typer.Option(
            "--head", metavar="DIGEST", help="A head that `release` printed: it has to be there still."
        ),
    ] = None,
    signers: Annotated[
        Path | None,
        typer.Option(
            "--signers", metavar="FILE", help="Keys that may sign, in OpenSSH's form of allowed signers."
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Check the chain of releases, sign-offs and promotions.

    Exit code 1 names the first record that was changed, removed or moved. Erased names break nothing."""
    from shiftright.app import App
    from shiftright.core.counting import counted
    from shiftright.ship import signatures
    from shiftright.ship.chain import verify as walk

    allowed = None if signers is None else signatures.allowed(signers)
    with App.here() as app:
        chain = app.records.releases.list() if app.has_records else ()
    found = walk(chain, head=head, signers=allowed)
    if json:
        _output.print_json({"whole": found.broken is None, **_as_dict(found)})
    elif found.broken is None:
        _output.say(
            f"whole: {counted(found.records, 'record')}, {found.signed} signed, {found.erased} with names erased"
        )
        _output.say(f"head {found.head}" if found.head else "Nothing was released yet.")
    else:
        of = f" ({found.broken.kind} of {found.broken.feature})" if found.broken.kind else ""
        _output.say(f"broken at record {found.broken.number}{of}: {found.broken.why}")
        _output.say(
            f"the {counted(found.records, 'record')} before it {'is' if found.records == 1 else 'are'} whole"
        )
    return _output.PASS if found.broken is None else _output.FAIL


def _as_dict(found: object) -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(found)
    return plain
