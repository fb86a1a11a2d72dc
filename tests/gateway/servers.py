"""A real server on loopback in front of a provider whose every byte is scripted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shiftright import gateway
from shiftright.core.trace import SpanRow
from shiftright.gateway.serving import bind, serve
from shiftright.store import open_records
from shiftright.store.intake import Intake
from shiftright.store.telemetry import open_telemetry

Play = Callable[["Received", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Received:
    """A request as the provider got it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = first.split(" ")
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)
        }
        self.body = body


class Provider:
    """An upstream on loopback. ``plays`` are used one a request; the last one for all that follow."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.plays: list[Play] = []
        self.gone = threading.Event()
        """Set when the gateway has closed a connection in the middle of an answer."""
        self._loop = asyncio.new_event_loop()
        self._server: Any = None
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(5)

    def _run(self, ready: threading.Event) -> None:
        async def start() -> None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=100_000_000)
            ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
                got = Received(head, b"")
                got.body = await reader.readexactly(int(got.headers.get("content-length", 0)))
                self.received.append(got)
                play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
                await play(got, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()

    def close(self) -> None:
        async def end() -> None:
            self._server.close()
            rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def whole(body: bytes, status: int = 200, content_type: str = "application/json", extra: str = "") -> Play:
    """One answer with a length."""

    async def play(got: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)

    return play


def chunks(*parts: bytes, pause_s: float = 0.0, cut: bool = False, hang: bool = False) -> Play:
    """A stream of events, each its own HTTP chunk."""

    async def play(got: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for part in parts:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
            await asyncio.sleep(pause_s)
        if hang:
            await reader.readexactly(1)
        if cut:
            writer.close()
        else:
            writer.write(b"0\r\n\r\n")

    return play


class Site:
    """A running gateway, and what it stored."""

    def __init__(self, root: Path, environment: dict[str, str], key: str | None, telemetry_url: str) -> None:
        self.root = root
        (root / ".shiftright").mkdir(exist_ok=True)
        self.records = open_records(f"sqlite:///{root / '.shiftright' / 'records.db'}")
        self.telemetry: Any = open_telemetry(
            telemetry_url or f"duckdb:///{root / '.shiftright' / 't.duckdb'}"
        )
        self.intake = Intake(self.telemetry, flush_s=0.01)
        self.access = gateway.Access(self.records, key)
        router = gateway.Router(root, gateway.configure(root, environment))
        self.gateway = gateway.Gateway(
            router,
            self.access,
            gateway.Rollouts(router, self.records, root / ".shiftright"),
            self.intake,
            lambda: control,
            b"signs feedback",
        )
        self._sock = bind("127.0.0.1", 0)
        self.port = self._sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        self._loop.run_until_complete(serve(self.gateway, self._sock, self._ready.set, self._ending))

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    def spans(self, trace_id: str) -> tuple[SpanRow, ...]:
        """What is kept of a trace; waits until it is written."""
        for _ in range(400):
            found: tuple[SpanRow, ...] = self.telemetry.trace(trace_id)
            if found:
                return found
            threading.Event().wait(0.005)
        raise AssertionError("the trace was not stored")

    def end(self) -> None:
        """As SIGTERM does."""
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._loop.close()
        self.intake.close()
        self.telemetry.close()
        self.records.close()


async def control(scope: Any, receive: Any, send: Any) -> None:
    """A control plane that says which path it got, of ``/unread`` without a look at the body."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] != "/unread":
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["path"].encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b"!"})
