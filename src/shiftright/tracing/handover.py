"""Spans of a process that does not own the telemetry store: to the owner over OTLP/HTTP, else to the spool."""

from __future__ import annotations

import http.client
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from shiftright.core.trace import SpanRow
from shiftright.store.spool import Spool
from shiftright.tracing.otlp import PROTOBUF, encode_traces

SPOOL_FOLDER = "spool"
SERVER_FILE = "serve.json"
"""In the home folder while a server runs: where it answers, and its process."""
_PATIENCE_S = 2.0


class _Owner(msgspec.Struct):
    url: str
    pid: int


def owner_of(home: Path) -> str | None:
    """The URL of the server that owns this project's telemetry; None when none says that it runs.

    What a server that was killed left behind is removed.
    """
    file = home / SERVER_FILE
    try:
        owner = msgspec.json.decode(file.read_bytes(), type=_Owner)
    except (OSError, msgspec.DecodeError):
        return None
    if not _gone(owner):
        return owner.url
    with suppress(OSError):  # a folder that cannot be written: its file is passed over each time
        file.unlink()
    return None


def _gone(owner: _Owner) -> bool:
    """No such process, and nobody at its address. One alone says little: a container has processes of its own, and a
    server that begins or ends does not listen."""
    if sys.platform == "win32" or owner.pid <= 0:
        return False  # there, signal 0 is Ctrl-C
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return not _listens(owner.url)
    except (PermissionError, OverflowError):
        pass
    return False


def _listens(url: str) -> bool:
    try:
        address = urlsplit(url)
        socket.create_connection((address.hostname or "", address.port or 80), _PATIENCE_S).close()
    except (OSError, ValueError):
        return False
    return True


def answering_owner(home: Path) -> str | None:
    """``owner_of``, when it answers; a server that was killed leaves its file behind."""
    url = owner_of(home)
    return url if url is not None and _asked(url, "GET", "/healthz", b"", {}) is not None else None


def hand_over(spans: Sequence[SpanRow], home: Path, key: str | None = None) -> bool:
    """Durable when this returns; True when the owner has them, False when they wait in the spool.

    Raises:
        StoreError: when neither worked.
    """
    batch = encode_traces(spans)
    url = owner_of(home)
    if url is not None and _sent(url, batch, key):
        return True
    Spool(home / SPOOL_FOLDER).put(batch)
    return False


def _sent(url: str, batch: bytes, key: str | None) -> bool:
    headers = {"content-type": PROTOBUF} | ({"authorization": f"Bearer {key}"} if key else {})
    # A batch whose answer is lost is sent again by way of the spool: the store knows its spans.
    return _asked(url, "POST", "/v1/traces", batch, headers) == http.client.OK


def _asked(url: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> int | None:
    """The answer's status; None when there was none."""
    try:
        address = urlsplit(url)
        secure = address.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        with closing(connect(address.hostname or "", address.port, timeout=_PATIENCE_S)) as connection:
            connection.request(method, path, body, headers)
            return connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException):
        return None
