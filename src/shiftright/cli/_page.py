"""``docs/cli.md``, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import typer

from shiftright.cli._main import app

INTRO = """\
# The command line

Written by `scripts/make_docs.py` from the commands' own help.

`F` is the `feature:` of any `spec.yaml` under the project's root (the nearest folder above with `.shiftright/`,
`pyproject.toml` or `.git`), or the path of one.

| exit code | means |
|---|---|
| 0 | pass: every check is proven (other commands: done) |
| 1 | fail: a check is proven bad, a `must` case failed, or an invariant broke |
| 2 | inconclusive: not enough evidence, a cap was reached, or only some cases were looked at |
| 3 | error: usage, contract, credentials, records, or a fault of this program |
| 130 | interrupted: the same command goes on |

With `--json` stdout holds exactly one JSON document; progress and notes are on stderr. An error is
`{"error": {"code", "message", "file", "line", "hint"}}`. `SHIFTRIGHT_DEBUG=1` adds the traceback on stderr.
`NO_COLOR` is respected; into a file or pipe everything is plain, `COLUMNS` wide (default 100).

| variable | default | means |
|---|---|---|
| `SHIFTRIGHT_HOME` | `.shiftright` at the root | where records are kept |
| `SHIFTRIGHT_RECORDS_URL` | SQLite in that folder | another database, `postgresql://…` among them |
| `SHIFTRIGHT_TELEMETRY_URL` | DuckDB in that folder | where traces are kept: `duckdb:///FILE` |
| `SHIFTRIGHT_KEY` | none | opens the server, its API and its pages; `shiftright serve` asks for it once it is set |
| `SHIFTRIGHT_SEAL_KEY` | none | opens sealed cases; CI has it and nobody else |
| `SHIFTRIGHT_DEBUG` | unset | show tracebacks |
"""


def cli_page() -> str:
    """Markdown."""
    group: Any = typer.main.get_command(app)
    return "\n".join([INTRO, *_commands(group)])


def _commands(group: Any, above: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        yield _command(f"{above}{name}", command)
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} ")


def _command(name: str, command: Any) -> str:
    arguments = [_argument(param) for param in command.params if param.param_type_name == "argument"]
    lines = [f"## {name}", "", f"`{' '.join(['shiftright', name, *arguments, '[OPTIONS]'])}`", ""]
    lines += cleandoc(command.help or "").splitlines()
    if shown := [param for param in command.params if param.name != "help"]:
        lines += ["", "| argument or option | means |", "|---|---|"]
    for param in shown:
        lines.append(f"| `{_spelled(param)}` | {_cell(param.help or '')}{_default(param)} |")
    return "\n".join([*lines, ""])


def _argument(param: Any) -> str:
    name = param.metavar or param.name.upper()
    return str(name) if param.required else f"[{name}]"


def _spelled(param: Any) -> str:
    if param.param_type_name == "argument":
        return _cell(_argument(param))
    value = "" if param.is_flag else f" {param.metavar or param.name.upper()}"
    return _cell(f"{param.opts[0]}{value}")


def _default(param: Any) -> str:
    if param.default in (None, False, ()) or param.param_type_name == "argument":
        return ""
    return f" Default: `{_cell(str(param.default))}`."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
