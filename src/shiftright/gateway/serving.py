"""One process that serves: granian in this event loop, ready when it says so, clean when it is told to end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from shiftright.errors import UsageError
from shiftright.tracing.handover import SERVER_FILE

_log = logging.getLogger("shiftright.gateway")

_DRAIN_S = 30.0
_BACKLOG = 1024
_SWITCH_S = 0.0005
_COLLECTED_AT = 10_000
"""New objects after which cycles are looked for. Requests leave none; at Python's 700 looking takes 4% of the time."""


async def serve(gateway: Any, sock: socket.socket, ready: Callable[[], None], ending: asyncio.Event) -> None:
    """Serve until ``ending`` is set; answers under way are finished (within 30 s) before this returns.

    Args:
        gateway: the RSGI application, with ``start``, ``close`` and ``active``.
        sock: bound, not yet listening.
        ready: called when requests are answered.
    """
    from granian._granian import SocketHolder
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    holder: Any = SocketHolder  # its stub lacks the constructor

    class Bound(Server):
        """On the socket that is there already: its port is known, and nobody else can take it."""

        _shd: Any

        def _init_shared_socket(self) -> None:
            # granian closes what it is given
            self._shd = holder(os.dup(sock.fileno()), False, _BACKLOG)

    server: Any = Bound(
        gateway,
        websockets=False,
        log_enabled=False,
        backpressure=_BACKLOG,
        http1_settings=HTTP1Settings(header_read_timeout=30_000),
    )
    # Threads write telemetry and run features; the loop must not wait 5 ms for each of them to give way.
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(_COLLECTED_AT)
    await gateway.start()
    serving = asyncio.create_task(server.serve())
    told = asyncio.create_task(ending.wait())
    try:
        await _answers(sock.getsockname()[:2], serving)
        ready()
        await asyncio.wait((serving, told), return_when=asyncio.FIRST_COMPLETED)
        server.stop()
        sock.close()
        await serving
        async with asyncio.timeout(_DRAIN_S):
            while gateway.active:  # noqa: ASYNC110 - an event for each request would cost all of them
                await asyncio.sleep(0.01)
    except TimeoutError:
        pass  # what does not end by itself is ended with the process
    finally:
        told.cancel()
        await gateway.close()


def ended_by_signals() -> asyncio.Event:
    """Set by SIGTERM or SIGINT; for the main thread's loop."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ending.set)
    return ending


@contextmanager
def published(home: Path, sock: socket.socket, host: str) -> Iterator[str]:
    """The server's URL, kept in ``serve.json`` for other commands of the project while the block runs."""
    file = home / SERVER_FILE
    name = f"[{host}]" if ":" in host else host
    url = f"http://{name}:{sock.getsockname()[1]}"
    partial = file.with_suffix(".partial")
    try:
        partial.write_bytes(msgspec.json.encode({"url": url, "pid": os.getpid()}))
        partial.replace(file)
    except OSError as error:
        _log.warning("other commands do not find this server: %s: %s", file, error.strerror)
    try:
        yield url
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


async def _answers(address: tuple[str, int], serving: asyncio.Task[None]) -> None:
    """Return when the server takes connections."""
    host, port = address
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(target, port)
        except OSError:
            await asyncio.sleep(0.005)
            continue
        writer.close()
        return
    await serving


def bind(host: str, port: int) -> socket.socket:
    """A socket on an address, not listening yet; port 0 takes a free one.

    Raises:
        UsageError: the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it; without, every small piece of a stream may wait 40 ms for an acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((host, port))
    except OSError as error:
        raise UsageError(
            f"{host}:{port} cannot be served on: {error.strerror or error}",
            hint="Another server may be there: choose another --port (0 takes a free one).",
        ) from error
    sock.setblocking(False)
    return sock
