"""``shiftright seal``: encrypt gate cases, so that only CI's key opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shiftright.cli import _output
from shiftright.errors import UsageError


def seal(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The cases, as .jsonl, .csv or .yaml.")
    ] = None,
    keygen: Annotated[
        bool, typer.Option("--keygen", help="Print a new key for SHIFTRIGHT_SEAL_KEY.")
    ] = False,
) -> int:
    """Encrypt cases, so that only CI's key opens them.

    Writes FILE.sealed, with the key in SHIFTRIGHT_SEAL_KEY. Coding tools that read the repository cannot tune on what
    they cannot read; nothing that a sealed case says is written to records, reports or logs."""
    from shiftright import datasets
    from shiftright.datasets import sealed

    if keygen == (file is not None):
        raise UsageError("give one of FILE and --keygen", hint="shiftright seal gate.jsonl")
    if file is None:
        _output.say(sealed.new_key())
        _output.tell(
            "Put it into CI's secrets as SHIFTRIGHT_SEAL_KEY and keep a copy where code is not read."
        )
        return _output.PASS
    if file.suffix == sealed.SUFFIX:
        raise UsageError(f"{file} is sealed already", hint="Seal the cases themselves.")
    cases = datasets.load(file)
    name = file.name.removesuffix(".gz") + sealed.SUFFIX
    target = file.with_name(name)
    try:
        target.write_bytes(sealed.seal(datasets.read_bytes(file)))
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror}", file=target, hint="Check permissions.") from None
    _output.say(f"wrote {target}: {len(cases)} cases, sealed")
    _output.say(
        f"next: write `gate: {name}` under cases, and keep {file.name} out of the repository (its history too)"
    )
    return _output.PASS
