"""SQLite: everything about the records that only this dialect needs."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import DBAPIError

from shiftright.errors import StoreError, UsageError

_BUSY_SECONDS = 30.0
_RESTORE = "Restore a copy (*.bak beside it), or move it away to start afresh."
_HINTS = {
    "SQLITE_BUSY": (
        "locked by another process",
        "Wait for the other shiftright to finish (or end it) and run the command again; nothing was lost.",
    ),
    "SQLITE_FULL": ("the disk is full", "Free some space and run the command again: it goes on from there."),
    "SQLITE_IOERR": (
        "the disk cannot be read or written (full, a quota, or a failing or network disk)",
        "Free some space or set SHIFTRIGHT_HOME to a local disk, and run the command again.",
    ),
    "SQLITE_READONLY": ("read-only", "Make the folder writable, or set SHIFTRIGHT_HOME to one that is."),
    "SQLITE_CANTOPEN": (
        "cannot be opened",
        "Check that the folder exists and is yours to write, or set SHIFTRIGHT_HOME to one that is.",
    ),
    "SQLITE_CORRUPT": ("the file is damaged", _RESTORE),
    "SQLITE_NOTADB": ("not an SQLite file", _RESTORE),
}
_HINTS["SQLITE_LOCKED"] = _HINTS["SQLITE_BUSY"]


class Sqlite:
    """One file, many processes: a write-ahead log, one writer at a time, each commit on disk."""

    def __init__(self, url: sa.URL) -> None:
        if not url.database or url.database == ":memory:":
            raise UsageError(
                "records in memory would be lost at the end of the command",
                hint="Name a file: sqlite:///path/to/records.db",
            )
        self._url = url
        self.path = Path(url.database.removeprefix("file:").partition("?")[0])
        self.place = str(self.path)
        # SQLite makes waiting writers sleep and retry; between threads a lock is fair and wakes at once.
        self._turn = threading.Lock()

    def engine(self, *, create: bool) -> sa.Engine:
        if not self.path.exists():
            if not create:
                raise StoreError(
                    f"there are no records at {self.place} yet", hint="Make some: shiftright eval FEATURE"
                )
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                reason, hint = _HINTS["SQLITE_CANTOPEN"]
                raise StoreError(f"{self.place}: {reason}: {error.strerror}", hint=hint) from error
        wait = float(self._url.normalized_query.get("timeout", (str(_BUSY_SECONDS),))[0])
        # A connection for every thread that asks: they are cheap, and a queue for them could only time out.
        engine = sa.create_engine(self._url, connect_args={"timeout": wait}, max_overflow=-1)
        sa.event.listen(engine, "connect", lambda connection, _: _prepare(connection, wait))
        return engine

    def begin(self, connection: sa.Connection, *, writes: bool) -> None:
        # A deferred transaction that turns into a writer fails at once when another has written meanwhile;
        # IMMEDIATE queues up for the lock first.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def turn_to_write(self) -> threading.Lock:
        return self._turn

    def insert(self, table: sa.Table) -> Insert:
        return insert(table)

    def among(self, column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
        listed = sa.func.json_each(json.dumps(values)).table_valued("value")
        return column.in_(sa.select(listed.c.value))

    def explain(self, error: DBAPIError) -> StoreError:
        name = str(getattr(error.orig, "sqlite_errorname", ""))
        for prefix, (reason, hint) in _HINTS.items():
            if name.startswith(prefix):
                return StoreError(f"{self.place}: {reason}", hint=hint)
        return StoreError(f"{self.place}: {error.orig}")

    def before_migration(self, connection: sa.Connection, version: str | None) -> Path | None:
        """A consistent copy beside the file; ``connection`` holds the write lock, so nothing is missed."""
        if version is None:
            return None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        copy = self.path.with_name(f"{self.path.name}.{version}.{stamp}.bak")
        partial = copy.with_suffix(".partial")
        try:
            # Under its final name only when it is whole.
            with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(partial)) as target:
                source.backup(target)
            return partial.replace(copy)
        except (sqlite3.Error, OSError) as error:
            with suppress(OSError):  # the first error is the one to tell
                partial.unlink()
            raise StoreError(
                f"{self.place}: no backup could be written to {copy}: {error}",
                hint="The records were left as they are. Free some space and run the command again.",
            ) from error


def _prepare(connection: Any, wait: float) -> None:
    # Transactions are begun by `begin`, never by the driver in the middle of one of ours.
    connection.isolation_level = None
    cursor = connection.cursor()
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        _turn_on_wal(cursor, wait)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _turn_on_wal(cursor: sqlite3.Cursor, wait: float) -> None:
    """Switching needs the file for itself, and SQLite does not wait for that by itself."""
    deadline = time.monotonic() + wait
    while True:
        try:
            mode = cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise StoreError(
                "this disk has no shared memory for SQLite's write-ahead log (a network disk?)",
                hint="Set SHIFTRIGHT_HOME to a local disk, or SHIFTRIGHT_RECORDS_URL to PostgreSQL.",
            )
        return
