"""``shiftright serve``: gateway, trace intake, API and pages in one process."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from shiftright.cli import _output


def serve(
    host: Annotated[str, typer.Option("--host", help="The address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 4000,
    json: Annotated[
        bool, typer.Option("--json", help="Print one line {url, key, pid} when ready, then serve.")
    ] = False,
) -> int:
    """Serve the gateway, traces, API and pages of a project."""
    import msgspec

    from shiftright.app import App, Served

    def ready(served: Served) -> None:
        if json:
            sys.stdout.write(msgspec.json.encode(served).decode() + "\n")
            sys.stdout.flush()
            return
        _output.say(f"shiftright serves at {served.url}")
        _output.say(f"  OpenAI clients:    base_url {served.url}/v1")
        _output.say(f"  Anthropic clients: base_url {served.url}")
        _output.say("  a key is asked for" if served.key else "  Ctrl-C ends it")
        sys.stdout.flush()

    with App.here() as app, asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(app.serve(host, port, ready))
    return _output.PASS


def _loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()
