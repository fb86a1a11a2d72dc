"""PostgreSQL: everything about the records that only this dialect needs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.exc import DBAPIError, OperationalError

from shiftright.errors import MissingDependency, StoreError

_WAIT_MS = 30_000
_CONNECT_SECONDS = 10
_MIGRATION_LOCK = 0x7368_6966  # any number, the same in every process
_HINTS = {
    "55P03": (
        "locked by another process",
        "Wait for the other shiftright to finish (or end it) and run the command again; nothing was lost.",
    ),
    "40P01": ("locked by another process", "Run the command again; nothing was lost."),
    "53": ("the server has no disk, memory or connections left", "Free some and run the command again."),
    "25006": ("read-only", "Point SHIFTRIGHT_RECORDS_URL to the primary server."),
    "42501": ("this user may not do that", "Grant the user the right to create, read and write tables."),
    "28": ("the server refused the user or the password", "Check SHIFTRIGHT_RECORDS_URL."),
    "3D000": ("there is no such database", "Create it (createdb NAME) or correct SHIFTRIGHT_RECORDS_URL."),
    "XX": ("the server reports damaged data", "Restore the database from a backup."),
}


class Postgres:
    """A shared server: the memory of a team and its CI."""

    def __init__(self, url: sa.URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        self.place = url.render_as_string(hide_password=True)

    def engine(self, *, create: bool) -> sa.Engine:
        try:
            # Rows go to the driver as tuples (see Insertion), so parameters are by position.
            return sa.create_engine(
                self._url,
                paramstyle="format",
                pool_pre_ping=True,
                connect_args={"connect_timeout": _CONNECT_SECONDS},
            )
        except ImportError as error:
            raise MissingDependency(
                "records in PostgreSQL need psycopg", hint="pip install 'shiftright[postgres]'"
            ) from error

    def begin(self, connection: sa.Connection, *, writes: bool) -> None:
        if writes:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT_MS}")

    def turn_to_write(self) -> nullcontext[None]:
        return nullcontext()

    def insert(self, table: sa.Table) -> Insert:
        return insert(table)

    def among(self, column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
        return column == sa.func.any(sa.cast(list(values), ARRAY(sa.Text)))

    def explain(self, error: DBAPIError) -> StoreError:
        state = getattr(error.orig, "sqlstate", None)
        if state is None and isinstance(error, OperationalError):
            return StoreError(
                f"{self.place}: no connection: {str(error.orig).splitlines()[0]}",
                hint="Start the server or correct SHIFTRIGHT_RECORDS_URL.",
            )
        for prefix, (reason, hint) in _HINTS.items():
            if state is not None and state.startswith(prefix):
                return StoreError(f"{self.place}: {reason}", hint=hint)
        return StoreError(f"{self.place}: {error.orig}")

    def before_migration(self, connection: sa.Connection, version: str | None) -> Path | None:
        """Keeps other processes from migrating at the same time. Backups of a server are its owner's."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        return None
