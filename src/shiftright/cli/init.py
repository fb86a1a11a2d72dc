"""``shiftright init``: a contract, a feature and cases that run; from the user's own table where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shiftright.cli import _output
from shiftright.errors import UsageError

IGNORED = ".shiftright/"
DEFAULT_FOLDER = "triage"


def init(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Where to write it; its name is the feature's.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--from", metavar="CSV", help="Make the cases from this table.")
    ] = None,
) -> int:
    """Write a feature that runs, from your CSV if given.

    Contract, code, prompt and cases. Nothing that is there is overwritten."""
    from shiftright.cli._scaffold import scaffold
    from shiftright.settings import Settings
    from shiftright.spec import names

    target = folder or Path(_name(table.stem) if table is not None else DEFAULT_FOLDER)
    made = scaffold(target, _name(target.resolve().name), table)
    taken = [str(target / name) for name in made.files if (target / name).exists()]
    if taken:
        raise UsageError(f"{taken[0]} is there already: nothing was written", hint="Name another folder.")
    root = Settings.load().root
    if not target.resolve().is_relative_to(root.resolve()):
        raise UsageError(
            f"{target} is outside of the project {root}: nothing was written",
            hint="Name a folder in it, or run init where the feature is to be.",
        )
    if places := names(root).get(made.feature):
        raise UsageError(
            f"there is a feature {made.feature!r} already: nothing was written",
            file=places[0],
            hint="Name another folder: its name is the feature's.",
        )
    try:
        for name, content in made.files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            _output.say(f"  wrote {path}")
        (root / IGNORED).mkdir(exist_ok=True)  # marks the project's root for every command from now on
        for written in (_ignore(root), _agents(root)):
            if written is not None:
                _output.say(f"  wrote {written}")
    except OSError as error:
        raise UsageError(
            f"cannot write: {error.strerror}", file=target, hint="Name another folder."
        ) from None
    if made.feature != target.resolve().name:
        _output.say(f"the feature is called {made.feature}")
    for note in made.notes:
        _output.say(note)
    _output.say()
    _output.say("next:")
    _output.say(f"  shiftright check {made.feature}                     what its cases can decide")
    _output.say(f"  shiftright eval {made.feature} --variant words      plain code, no key, seconds")
    return _output.PASS


def _name(given: str) -> str:
    """A feature's name from a folder's or file's."""
    name = "".join(char if char.isalnum() and char.isascii() else "_" for char in given.lower()).strip("_")
    return name if name[:1].isalpha() else f"feature_{name}".rstrip("_")


def _ignore(root: Path) -> Path | None:
    path = root / ".gitignore"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if IGNORED in before.splitlines():
        return None
    gap = "" if not before or before.endswith("\n") else "\n"
    path.write_text(f"{before}{gap}{IGNORED}\n", encoding="utf-8")
    return path


def _agents(root: Path) -> Path | None:
    """One for the whole project; theirs is kept as it is."""
    from shiftright.cli._scaffold import template

    path = root / "AGENTS.md"
    if path.exists():
        return None
    path.write_text(template("AGENTS.md"), encoding="utf-8")
    return path
