"""The command line: one file per verb. What a command needs is imported when it runs."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """The ``shiftright`` command."""
    from shiftright.cli._main import run

    sys.exit(run(sys.argv[1:]))
