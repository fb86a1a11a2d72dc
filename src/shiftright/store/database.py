"""One engine and the two ways to use it, ``read()`` and ``write()``; where backends differ, a Dialect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shiftright.errors import StoreError


class Dialect(Protocol):
    """What the two backends do differently, and nothing else."""

    @property
    def place(self) -> str:
        """Where the records are, for messages: a path, or a URL without its password."""
        ...

    def engine(self, *, create: bool) -> sa.Engine: ...

    def begin(self, connection: sa.Connection, *, writes: bool) -> None: ...

    def turn_to_write(self) -> AbstractContextManager[Any]:
        """Held by a thread while it writes."""
        ...

    def insert(self, table: sa.Table) -> Any:
        """SQLAlchemy's insert of the dialect, which knows ``on_conflict_do_update``."""
        ...

    def among(self, column: sa.ColumnElement[str], values: Sequence[str]) -> sa.ColumnElement[bool]:
        """``column`` is one of ``values``, however many, as one parameter."""
        ...

    def explain(self, error: DBAPIError) -> StoreError: ...

    def before_migration(self, connection: sa.Connection, version: str | None) -> Path | None:
        """Locks the schema for the rest of the transaction; the path of a backup where one was made."""
        ...


class Database:
    """Transactions over one engine. A failure of the database leaves as a StoreError with the way out."""

    def __init__(self, dialect: Dialect, *, create: bool) -> None:
        self.dialect = dialect
        self.engine = dialect.engine(create=create)
        self._writer = self.engine.execution_options(writes=True)

        @sa.event.listens_for(self.engine, "begin")
        def begin(connection: sa.Connection) -> None:
            writes = connection.get_execution_options().get("writes", False)
            dialect.begin(connection, writes=writes)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self._explained(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction: durable as a whole when the block ends, gone as a whole when it raises."""
        with self._explained(), self.dialect.turn_to_write(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise StoreError(
                f"{self.dialect.place}: stored already: {error.orig}",
                hint="Another process has written the same rows meanwhile. Run the command again.",
            ) from error
        except PoolTimeout as error:
            raise StoreError(
                f"{self.dialect.place}: all connections are in use", hint="Use fewer threads at once."
            ) from error
        except DBAPIError as error:
            raise self.dialect.explain(error) from error
        except msgspec.DecodeError as error:
            raise StoreError(
                f"{self.dialect.place}: a stored row cannot be read: {error}",
                hint="Something else changed it, or the file is damaged: restore a copy, or move it away.",
            ) from error

    def insertion(self, table: sa.Table, *, replace: bool = False) -> Insertion:
        """An insert of whole rows of ``table``; ``replace`` overwrites the row with the same primary key."""
        statement = self.dialect.insert(table)
        columns = [c.name for c in table.columns if c.name != "number"]
        if replace:
            keys = [c.name for c in table.primary_key]
            others = {name: statement.excluded[name] for name in columns if name not in keys}
            statement = statement.on_conflict_do_update(index_elements=keys, set_=others)
        compiled = statement.compile(dialect=self.engine.dialect, column_keys=columns)
        assert compiled.positiontup == columns
        return Insertion(str(compiled))

    def version(self) -> str | None:
        """The migration the schema is at; None when it has never been migrated."""
        with self.read() as connection:
            return schema_version(connection)

    def close(self) -> None:
        self.engine.dispose()


class Insertion:
    """An INSERT compiled once; rows are plain tuples in the table's column order.

    SQLAlchemy's own executemany builds a dict per row and costs more than the row's encoding.
    """

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def __call__(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        try:
            connection.exec_driver_sql(self._sql, rows)
        except (OverflowError, UnicodeError) as error:
            raise StoreError(
                f"a value cannot be stored: {error}", hint="Whole numbers have 64 bits; text is Unicode."
            ) from error


def schema_version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
