"""``shiftright check``: is the contract sound, and what can it decide with the cases there are?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._options import Json
from shiftright.errors import Error, UsageError

if TYPE_CHECKING:
    from shiftright.evals.outlook import Outlook


def check(
    feature: Annotated[
        str | None, typer.Argument(metavar="F", help="A feature or spec.yaml; default: all of the project.")
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the contract's JSON Schema, for editors.")
    ] = False,
    json: Json = False,
) -> int:
    """Validate contracts; say what the cases can resolve.

    No feature is run or imported."""
    if schema:
        from shiftright.spec import json_schema

        _output.print_json(json_schema())
        return _output.PASS
    from shiftright.evals.outlook import outlook
    from shiftright.settings import Settings

    root = Settings.load().root
    found: list[Outlook] = []
    errors: list[Error] = []
    for path in _paths(feature, root):
        try:
            found.append(outlook(path))
        except Error as error:
            errors.append(error)
    if json:
        document: dict[str, object] = {"features": [_as_json(item) for item in found]}
        if errors:
            document |= {"error": errors[0].as_dict(), "errors": [error.as_dict() for error in errors]}
        _output.print_json(document)
    else:
        _print(found, errors, root)
    return _output.ERROR if errors else _output.PASS


def _paths(feature: str | None, root: Path) -> list[Path]:
    from shiftright import spec as specs

    if feature is not None:
        return [specs.find(feature, root)]
    paths = specs.discover(root)
    if not paths:
        raise UsageError(f"there is no spec.yaml under {root}", hint="shiftright init  writes one that runs.")
    return paths


def _as_json(item: Outlook) -> dict[str, object]:
    return {
        "feature": item.feature,
        "path": item.path,
        "cases": item.cases,
        "variants": item.variants,
        "baseline": item.baseline,
        "checks": item.checks,
        "warnings": item.warnings,
    }


def _print(found: list[Outlook], errors: list[Error], root: Path) -> None:
    for item in found:
        counts = " · ".join(f"{number:,} {split}" for split, number in item.cases.items())
        noun = "case" if sum(item.cases.values()) == 1 else "cases"
        _output.say(f"✓ {item.feature}   {_relative(item.path, root)}   {counts} {noun}")
        width = max(len(clause.check) for clause in item.checks)
        for clause in item.checks:
            sign = " " if clause.enough else "!"
            _output.say(f"  {sign} {clause.check:{width}}  {clause.target}")
            _output.say(f"    {'':{width}}  {clause.sentence}")
        for warning in item.warnings:
            _output.say(f"  ! {warning}")
    for error in errors:
        _output.tell(f"error: {error}")
    if found and any(clause.needed and clause.enough is False for item in found for clause in item.checks):
        _output.say(
            "! = more than the cases can prove. Variances are assumed; `shiftright plan F` measures them."
        )


def _relative(path: Path, root: Path) -> str:
    try:
        return str(path.resolve().relative_to(root))
    except ValueError:
        return str(path)
