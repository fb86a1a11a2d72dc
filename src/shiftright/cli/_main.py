"""The Typer application, and what every command does with errors, Ctrl-C and a closed pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from shiftright.cli import _output
from shiftright.cli.aa import aa
from shiftright.cli.check import check
from shiftright.cli.compare import compare
from shiftright.cli.demo import demo
from shiftright.cli.diff import diff
from shiftright.cli.doctor import doctor
from shiftright.cli.draft import draft
from shiftright.cli.erase import erase
from shiftright.cli.eval import eval_
from shiftright.cli.export import export
from shiftright.cli.gate import gate
from shiftright.cli.incident import incident, incidents
from shiftright.cli.init import init
from shiftright.cli.key import key
from shiftright.cli.mcp import mcp
from shiftright.cli.next import next_
from shiftright.cli.plan import plan
from shiftright.cli.pull import pull
from shiftright.cli.record import record
from shiftright.cli.release import release
from shiftright.cli.report import report
from shiftright.cli.review import review
from shiftright.cli.rollout import rollout
from shiftright.cli.run import run as run_one
from shiftright.cli.runs import runs
from shiftright.cli.scan import scan
from shiftright.cli.scout import scout
from shiftright.cli.seal import seal
from shiftright.cli.serve import serve
from shiftright.cli.show import show
from shiftright.cli.sign import sign
from shiftright.cli.traces import costs, trace, traces
from shiftright.cli.verify import verify
from shiftright.errors import Error, UsageError

INTERRUPTED = 130
# What a shell reports for a program whose reader has gone (128 + SIGPIPE).
CLOSED_PIPE = 141

_BadUsage: Any = typer.BadParameter.__base__
_ParserError: Any = _BadUsage.__base__

app = typer.Typer(
    name="shiftright",
    help="Ship AI features on evidence: may it merge, may it be released?",
    epilog="Exit codes: 0 pass · 1 fail · 2 inconclusive · 3 error · 130 interrupted.",
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,  # Rich's help costs more time than everything else in --help
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _function, _name in (
    (init, "init"),
    (check, "check"),
    (plan, "plan"),
    (run_one, "run"),
    (eval_, "eval"),
    (gate, "gate"),
    (compare, "compare"),
    (diff, "diff"),
    (scout, "scout"),
    (aa, "aa"),
    (runs, "runs"),
    (show, "show"),
    (report, "report"),
    (release, "release"),
    (sign, "sign"),
    (verify, "verify"),
    (next_, "next"),
    (draft, "draft"),
    (record, "record"),
    (traces, "traces"),
    (trace, "trace"),
    (costs, "costs"),
    (export, "export"),
    (erase, "erase"),
    (pull, "pull"),
    (mcp, "mcp"),
    (scan, "scan"),
    (seal, "seal"),
    (doctor, "doctor"),
    (rollout, "rollout"),
    (incidents, "incidents"),
    (incident, "incident"),
    (serve, "serve"),
    (demo, "demo"),
):
    app.command(_name)(_function)
app.add_typer(key, name="key")
app.add_typer(review, name="review")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("shiftright"))
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


class Interrupted(Error):
    code = "interrupted"


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code. Nothing gets out."""
    as_json = "--json" in arguments
    _output.prepare()
    try:
        code = typer.main.get_command(app).main([*arguments], prog_name="shiftright", standalone_mode=False)
        sys.stdout.flush()
        # Typer turns Ctrl-C into this code
        return _interrupted(as_json) if code == INTERRUPTED else code if isinstance(code, int) else 0
    except BrokenPipeError:
        return _closed_pipe()
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(as_json)
    except SystemExit as stop:
        # Typer's own answer to a closed pipe is exit code 1, which here means that a feature failed
        if isinstance(stop.__context__, BrokenPipeError):
            return _closed_pipe()
        return _output.failed(Error(f"the program was ended (exit status {stop.code})"), as_json)
    except _BadUsage as error:
        path = getattr(getattr(error, "ctx", None), "command_path", "shiftright")
        return _output.failed(UsageError(error.format_message(), hint=f"See: {path} --help"), as_json)
    except _ParserError as error:
        return _output.failed(UsageError(error.format_message()), as_json)
    except Error as error:
        return _output.failed(error, as_json)
    except Exception as error:  # noqa: BLE001  the last place where it can be told in plain words
        return _output.unexpected(error, as_json)


def _closed_pipe() -> int:
    """Nobody reads any more. Python would fail once again on flushing at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return CLOSED_PIPE


def _interrupted(as_json: bool) -> int:
    stopped = Interrupted(
        "interrupted", hint="What was answered is kept: the same command goes on from there."
    )
    _output.failed(stopped, as_json)
    return INTERRUPTED
