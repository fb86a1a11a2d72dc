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
    address = urlsplit(url)
    secure = address.scheme == "https"
    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    headers = {"content-type": PROTOBUF} | ({"authorization": f"Bearer {key}"} if key else {})
    connection = connect(address.hostname or "", address.port, timeout=_PATIENCE_S)
    try:
        connection.request("POST", "/v1/traces", batch, headers)
        # A batch whose answer is lost is sent again by way of the spool: the store knows its spans.
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
