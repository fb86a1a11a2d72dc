"""Spans of a process that does not own the telemetry store: to the owner over OTLP/HTTP, else to the spool."""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from shiftright.core.trace import SpanRow
from shiftright.store.spool import Spool
from shiftright.tracing.otlp import PROTOBUF, encode_traces

SPOOL_FOLDER = "spool"
_PATIENCE_S = 2.0


class _Owner(msgspec.Struct):
    url: str


def owner_of(home: Path) -> str | None:
    """The URL of the server that owns this project's telemetry; None when none says that it runs."""
    try:
        return msgspec.json.decode((home / "serve.json").read_bytes(), type=_Owner).url
    except (OSError, msgspec.DecodeError):
        return None


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
        connection = connect(address.hostname or "", address.port, timeout=_PATIENCE_S)
    except ValueError:
        return None
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
