"""Telemetry in one DuckDB file. One process owns it; its threads read while one of them writes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from shiftright.core.trace import (
    Bucket,
    Erasable,
    Group,
    Measure,
    Rollup,
    SpanRow,
    TraceFilter,
    TracePage,
    TraceRow,
)
from shiftright.errors import StoreError, StoreInUse, UsageError
from shiftright.store import duckdb_columns as columns
from shiftright.store import duckdb_sql as sql

if TYPE_CHECKING:
    import duckdb

MEMORY = "256MB"
"""What DuckDB may hold of the file in memory, beside the gateway in the same process."""
TEXT_WINDOW_NS = 24 * sql.HOUR_NS
_FOREVER_NS = 2**63 - 1
_EXPORTED_AT_ONCE = 500
_KEEP_RATIO = 0.9
_REMEMBERED = 20_000
_NOTHING = TraceFilter()


class DuckDBTelemetry:
    """See ``store.telemetry.TelemetryStore``. Makes the file when it is not there."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._writing = Lock()
        self._db = self._open()

    @property
    def place(self) -> str:
        return str(self._path)

    def append(self, spans: Sequence[SpanRow]) -> Sequence[SpanRow]:
        if not spans:
            return ()
        import duckdb

        with self._writing, self._explained(), self._cursor() as cursor:
            try:
                return self._insert(cursor, spans)
            except (UnicodeEncodeError, OverflowError, duckdb.InvalidInputException):
                return self._insert(cursor, columns.clean(spans))

    def _insert(self, cursor: duckdb.DuckDBPyConnection, spans: Sequence[SpanRow]) -> Sequence[SpanRow]:
        new = _without_repeats(spans)
        ids = columns.ids_of(new)
        if there := self._stored(cursor, new, ids):
            new = [span for position, span in enumerate(new) if position not in there]
            if not new:
                return ()
            ids = columns.ids_of(new)
        with _transaction(cursor):
            # DuckDB finds ``incoming`` by its name: registering it takes as long as planning to read it
            incoming = columns.span_columns(new, ids)
            cursor.execute(sql.SAVE_SPANS)
            incoming = columns.part_columns(new, ids)  # noqa: F841
            cursor.execute(sql.SAVE_PARTS)
        self._recent.add(max([span.start_ns for span in new]), ids["span"].tolist())
        return new

    def _stored(
        self, cursor: duckdb.DuckDBPyConnection, spans: Sequence[SpanRow], ids: columns.Columns
    ) -> set[int]:
        """Positions of spans that are there already."""
        import numpy as np

        starts = [span.start_ns for span in spans]
        if self._recent.has_none_of(min(starts), ids["span"].tolist()):
            return set()
        incoming = {**ids, "position": np.arange(len(spans))}  # noqa: F841
        return {row[0] for row in cursor.execute(sql.STORED, [min(starts), max(starts)]).fetchall()}

    def traces(
        self, where: TraceFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> TracePage:
        before = _place(cursor) if cursor else None
        with self._explained(), self._cursor() as reading:
            found = self._matching(reading, where or _NOTHING, limit + 1, before)
            data: tuple[TraceRow, ...] = ()
            if page := found[:limit]:
                rows = reading.execute(*sql.rows(*_ids_and_extent(page))).fetchall()
                data = tuple(map(columns.trace_row, rows))
        more = f"{data[-1].start_ns}-{data[-1].trace_id}" if len(found) > limit and data else None
        return TracePage(data, more)

    def trace(self, trace_id: str) -> tuple[SpanRow, ...]:
        if (ids := columns.halves(trace_id)) is None:
            return ()
        high, low = ids
        with self._explained(), self._cursor() as cursor:
            extent = cursor.execute(sql.EXTENT, [low, high]).fetchone()
            if extent is None or extent[0] is None:
                return ()
            return tuple(
                map(columns.span_row, cursor.execute(*sql.spans_of_one(high, low, *extent)).fetchall())
            )

    def rollups(
        self, where: TraceFilter | None = None, *, bucket: Bucket = "hour", by: Group = ""
    ) -> tuple[Rollup, ...]:
        wanted = where or _NOTHING
        with self._explained(), self._cursor() as cursor:
            since, until = self._bounds(cursor, wanted)
            statement = sql.rollups(wanted, since, until, sql.BUCKETS_NS[bucket], by)
            rows = cursor.execute(*statement).fetchall()
        return tuple(_rollup(row) for row in rows)

    def measures(self, where: TraceFilter | None = None, *, limit: int = 100_000) -> Sequence[Measure]:
        wanted = where or _NOTHING
        with self._explained(), self._cursor() as cursor:
            since, until = self._bounds(cursor, wanted)
            rows = cursor.execute(*sql.measures(wanted, since, until, limit)).fetchall()
        return [Measure(*row) for row in rows]

    def spans(self, where: TraceFilter | None = None) -> Iterator[Sequence[SpanRow]]:
        # One short reading per page: a transaction as long as an export would keep the log from being folded in.
        before = None
        while True:
            with self._explained(), self._cursor() as cursor:
                found = self._matching(cursor, where or _NOTHING, _EXPORTED_AT_ONCE, before)
                if not found:
                    return
                rows = cursor.execute(*sql.spans_of(*_ids_and_extent(found))).fetchall()
            yield list(map(columns.span_row, rows))
            high, low, start, _ = found[-1]
            before = (start, high, low)

    def values(self, column: Group, where: TraceFilter | None = None) -> tuple[str, ...]:
        if not column:
            return ()
        wanted = where or _NOTHING
        with self._explained(), self._cursor() as cursor:
            since, until = self._bounds(cursor, wanted)
            return tuple(
                row[0] for row in cursor.execute(*sql.values(column, wanted, since, until)).fetchall()
            )

    def prune(
        self,
        *,
        older_than_ns: int | None = None,
        feature: str | None = None,
        but: Sequence[str] = (),
        keep_bytes: int | None = None,
    ) -> int:
        forgotten = 0
        if older_than_ns is not None and feature is not None:
            forgotten += self._forget(sql.OF_FEATURE_BEFORE, [older_than_ns, feature])
        elif older_than_ns is not None:
            forgotten += self._forget(sql.OF_OTHERS_BEFORE, [older_than_ns, list(but)])
        while keep_bytes is not None and (used := self._used_bytes()) > keep_bytes:
            # What a share of the spans takes is not exact, so a little more goes, and the size is looked at again.
            share = min(1.0, 1 - _KEEP_RATIO * keep_bytes / used)
            with self._explained(), self._cursor() as cursor:
                edge = cursor.execute(sql.AGE_AT, [share]).fetchone()
            if edge is None or edge[0] is None:
                break
            if not (gone := self._forget(sql.BEFORE, [edge[0] + 1])):
                break
            forgotten += gone
        return forgotten

    def traces_of(self, what: Erasable, name: str) -> tuple[str, ...]:
        traces, given = _named(what, name)
        with self._explained(), self._cursor() as cursor:
            found = cursor.execute(sql.stored(traces), given).fetchall()
        return tuple(columns.trace_id(high, low) for high, low in found)

    def erase(self, what: Erasable, name: str) -> int:
        return self._forget(*_named(what, name))

    def count(self) -> int:
        with self._explained(), self._cursor() as cursor:
            row = cursor.execute(sql.COUNT).fetchone()
        return int(row[0]) if row else 0

    def close(self) -> None:
        with self._writing, self._explained():
            self._db.close()

    def _matching(
        self,
        cursor: duckdb.DuckDBPyConnection,
        where: TraceFilter,
        limit: int,
        before: tuple[int, int, int] | None,
    ) -> list[tuple[int, int, int, int]]:
        """Both halves of the id, start and end of the newest matching traces."""
        oldest, newest = self._bounds(cursor, where)
        if before is not None:
            newest = min(newest, before[0] + 1)
        found: list[tuple[int, int, int, int]] = []
        # Windows of growing width, backwards: what is asked for most is recent, and the rest of the file stays unread.
        width, until = sql.HOUR_NS, newest
        while until > oldest and len(found) < limit:
            since = max(oldest, until - width)
            place = before or (_FOREVER_NS, 0, 0)
            statement = sql.matching(where, since, until, place, limit - len(found))
            found += cursor.execute(*statement).fetchall()
            until, width = since, width * 16
        return found

    def _bounds(self, cursor: duckdb.DuckDBPyConnection, where: TraceFilter) -> tuple[int, int]:
        """The time that can hold matches, [oldest, newest); a search in texts without a time is of one day."""
        found = cursor.execute(sql.BOUNDS).fetchone()
        if found is None or found[0] is None:
            return 0, 0
        newest = min(found[1] + 1, _FOREVER_NS if where.until_ns is None else where.until_ns)
        since = where.since_ns
        if since is None and where.text:
            # up to now: one sender's clock that is ahead must not hide what everybody else sends
            since = min(newest, time.time_ns()) - TEXT_WINDOW_NS
        return (found[0] if since is None else max(since, found[0])), newest

    def _forget(self, traces: str, given: list[Any]) -> int:
        with self._writing, self._explained(), self._cursor() as cursor:
            with _transaction(cursor):
                row = cursor.execute(sql.forget("spans", traces), given).fetchone()
                cursor.execute(sql.forget("parts", traces), given)
            cursor.execute("CHECKPOINT")
        return int(row[0]) if row else 0

    def _used_bytes(self) -> int:
        with self._explained(), self._cursor() as cursor:
            row = cursor.execute(sql.USED_BYTES).fetchone()
        return int(row[0]) if row else 0

    def _open(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        with self._explained():
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"telemetry cannot be kept: {error}", file=self._path) from error
            connection = duckdb.connect(str(self._path), config={"memory_limit": MEMORY})
            try:
                for statement in sql.SCHEMA:
                    connection.execute(statement)
                row = connection.execute("SELECT number FROM version").fetchone()
                newest = connection.execute(sql.NEWEST).fetchone()
            except BaseException:
                connection.close()
                raise
        if row is None or row[0] != sql.VERSION:
            connection.close()
            raise StoreError(
                "these traces were written by another version of shiftright",
                file=self._path,
                hint="Use that version, or move the file away to begin anew.",
            )
        self._recent = _Recent(None if newest is None else newest[0])
        return connection

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._db.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.FatalException as error:
            # DuckDB refuses everything after a write to disk has failed, until the file is opened again.
            self._db.close()
            self._db = self._open()
            raise StoreError(f"telemetry cannot be written: {_first_line(error)}", file=self._path) from error
        except duckdb.Error as error:
            raise self._story(error) from error

    def _story(self, error: duckdb.Error) -> StoreError:
        text = _first_line(error)
        if "lock" in text.lower() and "conflicting" in text.lower():
            holder = re.search(r"PID (\d+)", text)
            who = f"process {holder[1]}" if holder else "another process"
            return StoreInUse(
                f"these traces are in use by {who}",
                file=self._path,
                hint="While `shiftright serve` is up, ask it; else wait until that command has ended.",
            )
        return StoreError(
            f"telemetry cannot be read or written: {text}",
            file=self._path,
            hint="See that the disk has room and the folder can be written.",
        )


class _Recent:
    """Ids of the newest spans: most writes need not look into the file whether their spans are there already.

    Every span of the file that starts at ``_since_ns`` or later is among them; they are forgotten when they are many.
    """

    def __init__(self, newest_ns: int | None) -> None:
        self._newest_ns = -(2**63) if newest_ns is None else newest_ns
        self._since_ns = self._newest_ns + 1
        self._ids: set[int] = set()

    def has_none_of(self, earliest_ns: int, ids: list[int]) -> bool:
        return earliest_ns >= self._since_ns and self._ids.isdisjoint(ids)

    def add(self, newest_ns: int, ids: list[int]) -> None:
        self._newest_ns = max(self._newest_ns, newest_ns)
        self._ids.update(ids)
        if len(self._ids) > _REMEMBERED:
            self._ids.clear()
            self._since_ns = self._newest_ns + 1


@contextmanager
def _transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    cursor.begin()
    try:
        yield
        cursor.commit()
    except BaseException:
        cursor.rollback()
        raise


def _ids_and_extent(
    found: Sequence[tuple[int, int, int, int]],
) -> tuple[list[tuple[int, int]], int, int]:
    """Ids, the first start and the last end."""
    ids = [(high, low) for high, low, _, _ in found]
    return ids, min(row[2] for row in found), max(row[3] for row in found)


def _named(what: Erasable, name: str) -> tuple[str, list[Any]]:
    if what == "trace":
        return sql.OF_TRACE, list(columns.halves(name) or (None, None))
    return sql.of_name(what), [name, name]


def _without_repeats(spans: Sequence[SpanRow]) -> Sequence[SpanRow]:
    kept = {(span.trace_id, span.span_id): span for span in reversed(spans)}
    return spans if len(kept) == len(spans) else list(reversed(kept.values()))


def _place(cursor: str) -> tuple[int, int, int]:
    start, _, identifier = cursor.partition("-")
    ids = columns.halves(identifier)
    if ids is None or not (start.isascii() and start.isdigit() and len(start) < 20):
        raise UsageError(f"{cursor[:80]!r} is no cursor", hint="Give next_cursor of the page before.")
    return int(start), *ids


def _rollup(row: tuple[Any, ...]) -> Rollup:
    start, group, traces, errors, cost, unpriced, asked, answered, quantiles = row
    p50, p95, p99 = quantiles or (None, None, None)
    return Rollup(
        start_ns=start,
        group=group,
        traces=traces,
        errors=errors,
        cost_usd=cost,
        unpriced=unpriced,
        input_tokens=asked,
        output_tokens=answered,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
