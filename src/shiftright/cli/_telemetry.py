"""Traces for a command: from the server that owns the telemetry while one runs, else from the store itself."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from shiftright.core.trace import Bucket, Erasable, Group, Rollup, SpanRow, TraceFilter, TracePage
from shiftright.errors import StoreError, UsageError
from shiftright.settings import Settings
from shiftright.store.telemetry import TraceReader, open_telemetry
from shiftright.tracing.handover import SERVER_FILE, owner_of

if TYPE_CHECKING:
    from shiftright.monitor.erasing import Erased

_PATIENCE_S = 30.0
_AT_ONCE = 500


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
        """As ``TelemetryStore.traces``."""
        query = _query(where, limit=str(limit), **({"cursor": cursor} if cursor else {}))
        return msgspec.json.decode(self._get(f"/api/traces?{query}"), type=TracePage)

    def rollups(
        self, where: TraceFilter | None = None, *, bucket: Bucket = "hour", by: Group = ""
    ) -> tuple[Rollup, ...]:
        body = self._get(f"/api/costs?{_query(where, bucket=bucket, by=by)}")
        return msgspec.json.decode(body, type=_Costs).data

    def spans(self, where: TraceFilter | None = None) -> Iterator[Sequence[SpanRow]]:
        """Line by line as they come: the answer is as long as the store."""
        with self._asked(f"/api/export?{_query(where)}") as response:
            lines: list[SpanRow] = []
            for line in response:
                lines.append(_decode_span(line))
                if len(lines) == _AT_ONCE:
                    yield lines
                    lines = []
            yield lines

    def trace(self, trace_id: str) -> tuple[SpanRow, ...]:
        body = self._get(f"/api/traces/{quote(trace_id, safe='')}", missing=b'{"spans": []}')
        return msgspec.json.decode(body, type=_Detail).spans

    def erase(self, what: Erasable, name: str) -> Erased:
        """As ``monitor.erasing.erase``, by the server."""
        from shiftright.monitor.erasing import Erased

        body = msgspec.json.encode({"what": what, "name": name})
        with self._asked("/api/erase", body=body) as response:
            return msgspec.json.decode(response.read(), type=Erased)

    def _get(self, path: str, missing: bytes | None = None) -> bytes:
        with self._asked(path, may_miss=missing is not None) as response:
            body = response.read()
        return missing if missing is not None and response.status == http.client.NOT_FOUND else body

    @contextmanager
    def _asked(
        self, path: str, *, may_miss: bool = False, body: bytes | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """The open answer.

        Raises:
            UsageError, StoreError: it is none, or not the one that was asked for.
        """
        address = urlsplit(self._url)
        secure = address.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connect(address.hostname or "", address.port, timeout=_PATIENCE_S)
        try:
            connection.request("GET" if body is None else "POST", path, body, self._headers)
            response = connection.getresponse()
            status = response.status
            if status == http.client.UNAUTHORIZED:
                raise UsageError(f"{self._url} asks for a key", hint="Set SHIFTRIGHT_KEY.")
            if status == http.client.BAD_REQUEST:
                raise UsageError(str(msgspec.json.decode(response.read())["error"]["message"]))
            if status != http.client.OK and not (may_miss and status == http.client.NOT_FOUND):
                raise StoreError(f"{self._url} answered {status} to {path}")
            yield response
        except (OSError, http.client.HTTPException) as error:
            hint = f"If it was killed, delete {SERVER_FILE} in the project's .shiftright folder."
            raise StoreError(
                f"{self._url} owns the traces and does not answer: {error}", hint=hint
            ) from error
        finally:
            connection.close()


class _Costs(msgspec.Struct):
    data: tuple[Rollup, ...]


_decode_span = msgspec.json.Decoder(SpanRow).decode


def _query(where: TraceFilter | None, **more: str) -> str:
    """A filter as the API spells it."""
    asked: dict[str, object] = msgspec.structs.asdict(where) if where is not None else {}
    for name in ("since", "until"):
        moment = asked.pop(f"{name}_ns", None)
        if isinstance(moment, int):
            asked[name] = datetime.fromtimestamp(moment / 1e9, UTC).isoformat()
    if isinstance(asked.get("failed"), bool):
        asked["failed"] = str(asked["failed"]).lower()
    if isinstance(pair := asked.get("attribute"), tuple):
        asked["attribute"] = "=".join(pair)
    return urlencode({name: value for name, value in asked.items() if value is not None} | more)
