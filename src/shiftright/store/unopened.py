"""In the place of a telemetry store that could not be opened: whoever asks it is told why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

from shiftright.core.trace import Bucket, Erasable, Group, Measure, Rollup, SpanRow, TraceFilter, TracePage
from shiftright.errors import StoreError


class UnopenedTelemetry:
    """See ``store.telemetry.TelemetryStore``. Reading and writing raise what opening raised."""

    def __init__(self, reason: StoreError) -> None:
        self._reason = reason

    @property
    def place(self) -> str:
        return self._reason.file or ""

    def append(self, spans: Sequence[SpanRow]) -> Sequence[SpanRow]:
        self._refuse()

    def traces(
        self, where: TraceFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> TracePage:
        self._refuse()

    def trace(self, trace_id: str) -> tuple[SpanRow, ...]:
        self._refuse()

    def rollups(
        self, where: TraceFilter | None = None, *, bucket: Bucket = "hour", by: Group = ""
    ) -> tuple[Rollup, ...]:
        self._refuse()

    def measures(self, where: TraceFilter | None = None, *, limit: int = 100_000) -> Sequence[Measure]:
        self._refuse()

    def spans(self, where: TraceFilter | None = None) -> Iterator[Sequence[SpanRow]]:
        self._refuse()

    def values(self, column: Group, where: TraceFilter | None = None) -> tuple[str, ...]:
        self._refuse()

    def prune(
        self,
        *,
        older_than_ns: int | None = None,
        feature: str | None = None,
        but: Sequence[str] = (),
        keep_bytes: int | None = None,
    ) -> int:
        return 0

    def traces_of(self, what: Erasable, name: str) -> tuple[str, ...]:
        self._refuse()

    def erase(self, what: Erasable, name: str) -> int:
        self._refuse()

    def count(self) -> int:
        self._refuse()

    def close(self) -> None:
        """There is nothing to close."""

    def _refuse(self) -> NoReturn:
        reason = self._reason
        raise StoreError(reason.message, file=reason.file, hint=reason.hint) from reason
