"""A contract's ``run:`` as a command line: no shell reads it."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from shiftright.errors import SpecError


def command_line(run: str, folder: Path, *, file: Path, line: int | None) -> list[str]:
    """The program's path and its arguments; a program with a ``/`` in its name is looked for in ``folder`` first.

    Raises:
        SpecError: at ``file`` and ``line``, for open quotes and for a program that is not there.
    """
    try:
        words = shlex.split(run)
    except ValueError as cause:
        hint = "Close the quotes, or write a \\ before a quote that is meant as it is."
        raise SpecError(
            f"run: {run!r:.200} is no command line: {cause}", file=file, line=line, hint=hint
        ) from None
    if not words:
        hint = "Write module:function, a URL or a command line."
        raise SpecError("run: is empty", file=file, line=line, hint=hint)
    beside = folder / words[0]
    program = str(beside.resolve()) if "/" in words[0] and beside.is_file() else shutil.which(words[0])
    if program is None:
        hint = f"Install it, or write module:function for Python code in {folder}."
        raise SpecError(f"run: there is no program {words[0]!r:.200}", file=file, line=line, hint=hint)
    return [program, *words[1:]]
