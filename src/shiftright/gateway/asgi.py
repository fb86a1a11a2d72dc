"""An ASGI application behind RSGI: the control plane beside the data plane in one server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


PORTION_BYTES = 2_100_000
"""Of a body, handed to the application at once: more than it takes, so that it refuses what does not end in it."""
DRAINED_BYTES = 50_000_000
DRAINED_S = 5.0


class Lifespan:
    """An application's start and end."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def start(self) -> None:
        """
        Raises:
            RuntimeError: the application says that it cannot start.
        """
        self._task = asyncio.create_task(self._run())
        await self._step("startup")

    async def end(self) -> None:
        if self._task is not None and not self._task.done():
            await self._step("shutdown")
            await self._task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.3"}, "state": self.state}
        try:
            await self.application(scope, self._inbox.get, self._told.put)
        except Exception as error:  # noqa: BLE001 - one that knows no lifespan raises; that is allowed
            self._told.put_nowait({"type": "lifespan.unsupported", "message": repr(error)})

    async def _step(self, name: str) -> None:
        await self._inbox.put({"type": f"lifespan.{name}"})
        told = await self._told.get()
        if told["type"] == f"lifespan.{name}.failed":
            raise RuntimeError(f"the control plane's {name} failed: {told.get('message', '')}")


async def serve(lifespan: Lifespan, scope: Any, proto: Any) -> None:
    """One request to a started application; a response in several pieces is streamed."""
    answer = _Answer(proto)
    await lifespan.application(_scope_of(scope, lifespan.state), answer.receive, answer.send)
    if scope.method not in ("GET", "HEAD"):
        await answer.drain()


class _Answer:
    def __init__(self, proto: Any) -> None:
        self._proto = proto
        self._parts: AsyncIterator[bytes] | None = None
        self._read = False
        self._start: Message | None = None
        self._transport: Any = None

    async def receive(self) -> Message:
        if not self._read:
            portion = b"".join([part async for part in self._next(PORTION_BYTES)])
            return {"type": "http.request", "body": portion, "more_body": not self._read}
        await self._proto.client_disconnect()
        return {"type": "http.disconnect"}

    async def drain(self) -> None:
        """Read what the application left, in bounds: a client that still sends would not read its answer, and a
        connection whose body was not read to its end is closed."""
        if self._read:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAINED_S):
                async for _ in self._next(DRAINED_BYTES):
                    pass

    async def _next(self, at_least: int) -> AsyncIterator[bytes]:
        """Parts of the body, until there are that many bytes or no more."""
        if self._parts is None:
            self._parts = aiter(self._proto)
        size = 0
        while size < at_least:
            try:
                # not anext(…, default): on granian's awaitables it ends the process
                part = await self._parts.__anext__()
            except StopAsyncIteration:
                self._read = True
                return
            size += len(part)
            yield part

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, more = bytes(message.get("body", b"")), message.get("more_body", False)
        if self._transport is None:
            assert self._start is not None
            status = self._start["status"]
            headers = [
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in self._start["headers"]
            ]
            if not more:
                self._proto.response_bytes(status, headers, body)
                return
            self._transport = self._proto.response_stream(status, headers)
        if body:
            await self._transport.send_bytes(body)


def _scope_of(scope: Any, state: dict[str, Any]) -> dict[str, Any]:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in scope.headers.items()]
    if scope.authority and not any(name == b"host" for name, _ in headers):
        headers.append((b"host", scope.authority.encode("latin-1")))  # HTTP/2 has no Host
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": scope.http_version,
        "method": scope.method,
        "scheme": scope.scheme,
        "path": unquote(scope.path),
        "raw_path": scope.path.encode("latin-1", "replace"),
        "query_string": scope.query_string.encode("latin-1"),
        "root_path": "",
        "headers": headers,
        "client": _address(scope.client),
        "server": _address(scope.server),
        "state": dict(state),
    }


def _address(text: str) -> tuple[str, int] | None:
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdecimal() else None
