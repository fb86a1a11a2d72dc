"""The generated page is current, and every verb and option is on it."""

from __future__ import annotations

from pathlib import Path

import typer

from shiftright.cli._main import app
from shiftright.cli._page import cli_page

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == cli_page(), "make docs"


def test_every_option_says_what_it_does() -> None:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        assert len(command.get_short_help_str(80)) < 60, f"{name}: cut off in --help"
        for param in command.params:
            assert param.name == "help" or param.help, f"{name} {param.name}"
