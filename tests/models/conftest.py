"""A provider on loopback, recorded answers of OpenAI, and a cache."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from model_doubles import Memory, Provider

WIRE = Path(__file__).parents[1] / "data" / "openai_chat_wire.jsonl"


@pytest.fixture
def provider() -> Iterator[Provider]:
    state = Provider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.close_connection = True
            state.react(self)

        def end_headers(self) -> None:
            # said, so that the client does not send its next request into a connection that is being closed
            self.send_header("connection", "close")
            super().end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that hangs up is part of the tests

    with Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}/v1#gpt-4o-mini"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        state.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def wire() -> dict[str, dict[str, Any]]:
    """Recorded answers of OpenAI by kind."""
    return {row["kind"]: row for row in map(json.loads, WIRE.read_text().splitlines())}


@pytest.fixture
def cache() -> Memory:
    return Memory()
