"""``shiftright record``: somebody's program, unchanged, with its model calls and traces kept."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from shiftright.cli import _output
from shiftright.cli._serving import server
from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.app import App

_SIGNALLED = 128


def record(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND …", help="The program and its arguments.")
    ],
) -> int:
    """Run a program and keep what it asks of models.

    Its OpenAI and Anthropic clients and its OpenTelemetry are pointed here. The exit code is the program's.
    """
    from shiftright.app import App

    with App.here() as app, asyncio.Runner() as runner:
        code = runner.run(_record(app, command))
        _output.tell(f"Kept in {app.settings.home}. See: shiftright traces")
    return code


async def _record(app: App, command: Sequence[str]) -> int:
    async with server(app) as url:
        environment = surroundings(url, command[0], app.settings.key, os.environ)
        try:
            child = await asyncio.create_subprocess_exec(*command, env=environment)
        except FileNotFoundError:
            raise UsageError(
                f"there is no program {command[0]!r}", hint="shiftright record -- python app.py"
            ) from None
        except OSError as error:
            raise UsageError(f"{command[0]!r} cannot be run: {error.strerror or error}") from None
        with _signals_for(child):
            code = await child.wait()
    return _SIGNALLED - code if code < 0 else code


def surroundings(url: str, program: str, key: str | None, given: Mapping[str, str]) -> dict[str, str]:
    """An environment in which a program's model calls and spans come to the server at ``url``."""
    ours = {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_BASE": f"{url}/v1",
        "ANTHROPIC_BASE_URL": url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{url}/v1/traces",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
        "TRACELOOP_BASE_URL": url,
        "PHOENIX_COLLECTOR_ENDPOINT": url,
    }
    if key is not None:
        # The server has the providers' keys; it asks for its own.
        ours["OTEL_EXPORTER_OTLP_HEADERS"] = f"authorization=Bearer%20{key}"
        ours["OPENAI_API_KEY"] = ours["ANTHROPIC_API_KEY"] = key
    return {"OTEL_SERVICE_NAME": os.path.basename(program), **given, **ours}  # noqa: PTH119  a name, not a path


@contextmanager
def _signals_for(child: asyncio.subprocess.Process) -> Iterator[None]:
    """Ctrl-C reaches the program by itself; what is sent to us alone is passed on. What it did is kept either way."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        if child.returncode is None:
            child.terminate()

    if sys.platform != "win32":
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, end)
    try:
        yield
    finally:
        if sys.platform != "win32":
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)
