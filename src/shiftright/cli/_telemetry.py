"""Traces for a command: from the server that owns the telemetry while one runs, else from the store itself."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from shiftright.core.trace import SpanRow, TraceFilter, TracePage
from shiftright.errors import StoreError, UsageError
from shiftright.settings import Settings
from shiftright.store.telemetry import TraceReader, open_telemetry
from shiftright.tracing.handover import owner_of

_PATIENCE_S = 30.0


@contextmanager
def traces_of(settings: Settings) -> Iterator[TraceReader]:
    """
    Raises:
        UsageError: when nothing has been recorded.
        StoreError: when the store cannot be read, or its owner does not answer.
    """
    url = owner_of(settings.home)
    if url is not None:
        yield ServedTraces(url, settings.key)
        return
    if not has_traces(settings):
        hint = "Point a client at shiftright serve, or: shiftright record -- COMMAND"
        raise UsageError("no traces have been recorded in this project yet", hint=hint)
    telemetry = open_telemetry(settings.telemetry_url)
    try:
        yield telemetry
    finally:
        telemetry.close()


def has_traces(settings: Settings) -> bool:
    """Is there something to read? A server of this project counts as such."""
    place = Path(settings.telemetry_url.partition(":///")[2])
    return owner_of(settings.home) is not None or place.exists()


class _Detail(msgspec.Struct):
    spans: tuple[SpanRow, ...]


class ServedTraces:
    """Traces over the REST API of a running server."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url = url
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def traces(
        self, where: TraceFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> TracePage:
        """As ``TelemetryStore.traces``; of the filter, feature, variant and failed are known here."""
        asked = {"limit": limit, "cursor": cursor}
        if where is not None:
            failed = None if where.failed is None else str(where.failed).lower()
            asked |= {"feature": where.feature, "variant": where.variant, "failed": failed}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return msgspec.json.decode(self._get(f"/api/traces?{query}"), type=TracePage)

    def trace(self, trace_id: str) -> tuple[SpanRow, ...]:
        body = self._get(f"/api/traces/{quote(trace_id, safe='')}", missing=b'{"spans": []}')
        return msgspec.json.decode(body, type=_Detail).spans

    def _get(self, path: str, missing: bytes | None = None) -> bytes:
        address = urlsplit(self._url)
        secure = address.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(address.hostname or "", address.port, timeout=_PATIENCE_S)
        try:
            connection.request("GET", path, headers=self._headers)
            response = connection.getresponse()
            status, body = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            hint = "If it was killed, delete serve.json in the project's .shiftright folder."
            raise StoreError(
                f"{self._url} owns the traces and does not answer: {error}", hint=hint
            ) from error
        finally:
            connection.close()
        if status == http.client.NOT_FOUND and missing is not None:
            return missing
        if status == http.client.UNAUTHORIZED:
            raise UsageError(f"{self._url} asks for a key", hint="Set SHIFTRIGHT_KEY.")
        if status != http.client.OK:
            raise StoreError(f"{self._url} answered {status} to {path}")
        return body
