"""Telemetry: spans of live traffic. One process owns the store; the interface is the same for every backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from shiftright.core.trace import Bucket, Erasable, Group, Measure, Rollup, SpanRow, TraceFilter, TracePage
from shiftright.errors import UsageError


class TraceReader(Protocol):
    """What a command needs to read traces, whether it opens the store or asks the server that owns it."""

    def traces(
        self, where: TraceFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> TracePage: ...

    def trace(self, trace_id: str) -> Sequence[SpanRow]: ...

    def rollups(
        self, where: TraceFilter | None = None, *, bucket: Bucket = "hour", by: Group = ""
    ) -> Sequence[Rollup]: ...

    def spans(self, where: TraceFilter | None = None) -> Iterator[Sequence[SpanRow]]: ...


class TelemetryStore(Protocol):
    """Blocking calls, safe to use from several threads; times are nanoseconds since 1970.

    Every method raises StoreError when the store cannot be read or written (full, read-only, damaged, owned by
    another process); the hint says the way out.
    """

    @property
    def place(self) -> str:
        """Where it is, for people."""
        ...

    def append(self, spans: Sequence[SpanRow]) -> Sequence[SpanRow]:
        """Durable when this returns. A span that is there already (same trace and span id) is not stored twice;
        what was new is returned."""
        ...

    def traces(
        self, where: TraceFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> TracePage:
        """The newest traces first, ``cursor`` from the page before."""
        ...

    def trace(self, trace_id: str) -> tuple[SpanRow, ...]:
        """All spans of a trace by start; empty when there is none."""
        ...

    def rollups(
        self, where: TraceFilter | None = None, *, bucket: Bucket = "hour", by: Group = ""
    ) -> tuple[Rollup, ...]:
        """Traffic per bucket and group, oldest first."""
        ...

    def measures(self, where: TraceFilter | None = None, *, limit: int = 100_000) -> Sequence[Measure]:
        """Time and cost of each matching trace, newest first: what checks on live traffic are decided on."""
        ...

    def spans(self, where: TraceFilter | None = None) -> Iterator[Sequence[SpanRow]]:
        """Every span of the matching traces, in batches, for exports: memory stays bounded."""
        ...

    def values(self, column: Group, where: TraceFilter | None = None) -> tuple[str, ...]:
        """What occurs in a column, most frequent first (at most 100): the choices of a filter."""
        ...

    def prune(
        self,
        *,
        older_than_ns: int | None = None,
        feature: str | None = None,
        but: Sequence[str] = (),
        keep_bytes: int | None = None,
    ) -> int:
        """Forget traces in which nothing has begun since ``older_than_ns`` (of one feature where it is named, else of
        all ``but`` some), then the oldest ones until ``keep_bytes`` are enough; returns how many spans."""
        ...

    def traces_of(self, what: Erasable, name: str) -> tuple[str, ...]:
        """Ids of every trace in which a span names this user or session; of a trace its own, where it is stored."""
        ...

    def erase(self, what: Erasable, name: str) -> int:
        """Forget these traces; returns how many spans."""
        ...

    def count(self) -> int:
        """Spans stored."""
        ...

    def close(self) -> None: ...


def open_telemetry(url: str) -> TelemetryStore:
    """The store at a URL: ``duckdb:///path/to/telemetry.duckdb``.

    Raises:
        UsageError: for a URL that names no backend.
        StoreError: when another process owns it, or it cannot be opened.
    """
    backend, _, path = url.partition(":///")
    if backend == "duckdb" and path:
        from shiftright.store.duckdb import DuckDBTelemetry

        return DuckDBTelemetry(path)
    raise UsageError(
        f"telemetry cannot be kept at {url!r} (SHIFTRIGHT_TELEMETRY_URL)",
        hint="Use duckdb:///path/to/telemetry.duckdb.",
    )
