"""Records: the way in. Importing this module is cheap; SQLAlchemy is imported when records are opened."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from shiftright.errors import UsageError

if TYPE_CHECKING:
    from shiftright.store.answers import Answers
    from shiftright.store.database import Database, Dialect
    from shiftright.store.feedback import FeedbackRows
    from shiftright.store.keys import Keys
    from shiftright.store.ledger import Ledger
    from shiftright.store.model_cache import ModelCache
    from shiftright.store.releases import Releases
    from shiftright.store.reviews import Reviews
    from shiftright.store.rows import ConsumedRow, RunCase, StoredAnswer
    from shiftright.store.runs import Runs
    from shiftright.store.scores import Scores
    from shiftright.store.spend import Spend
    from shiftright.store.texts import Texts


class Records:
    """Everything a project remembers, by noun, over one database. Safe to share among threads."""

    answers: Answers
    runs: Runs
    ledger: Ledger
    model_cache: ModelCache
    feedback: FeedbackRows
    reviews: Reviews
    keys: Keys
    spend: Spend
    scores: Scores
    texts: Texts
    releases: Releases

    def __init__(self, database: Database) -> None:
        from shiftright.store.answers import Answers
        from shiftright.store.feedback import FeedbackRows
        from shiftright.store.keys import Keys
        from shiftright.store.ledger import Ledger
        from shiftright.store.model_cache import ModelCache
        from shiftright.store.releases import Releases
        from shiftright.store.reviews import Reviews
        from shiftright.store.runs import Runs
        from shiftright.store.scores import Scores
        from shiftright.store.spend import Spend
        from shiftright.store.texts import Texts

        self._database = database
        self.answers = Answers(database)
        self.runs = Runs(database)
        self.ledger = Ledger(database)
        self.model_cache = ModelCache(database)
        self.feedback = FeedbackRows(database)
        self.reviews = Reviews(database)
        self.keys = Keys(database)
        self.spend = Spend(database)
        self.scores = Scores(database)
        self.texts = Texts(database)
        self.releases = Releases(database)

    @property
    def place(self) -> str:
        """Where the records are, for people: a path, or a URL without its password."""
        return self._database.dialect.place

    def write(
        self,
        *,
        answers: Sequence[StoredAnswer] = (),
        cases: Sequence[RunCase] = (),
        consumed: Sequence[ConsumedRow] = (),
    ) -> None:
        """One flush of a runner, one transaction: durable as a whole when this returns, or not there at all.

        Raises:
            StoreError: as ``ledger.append`` does, and when the database cannot be written.
        """
        from shiftright.store.answers import answer_rows
        from shiftright.store.ledger import consumed_rows
        from shiftright.store.runs import case_rows

        # Encoded before the transaction begins: other writers wait only for the writing.
        rows = answer_rows(answers), case_rows(cases), consumed_rows(consumed)
        with self._database.write() as connection:
            self.answers.put_rows(connection, rows[0])
            self.runs.add_case_rows(connection, rows[1])
            self.ledger.append_rows(connection, rows[2])

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_records(url: str, *, create: bool = True) -> Records:
    """Open the records at a URL (``sqlite:///path`` or ``postgresql://…``) and bring them up to date.

    An older schema is migrated, after a backup of the file (SQLite).

    Args:
        create: make them when there are none; otherwise that is an error.

    Raises:
        UsageError: for a URL that names neither backend.
        StoreError: when they are missing (``create=False``), locked, damaged, read-only, foreign or newer
            than this version; the hint says the way out, and nothing is half-written.
        MissingDependency: when the backend's driver is not installed.
    """
    from shiftright.store.database import Database
    from shiftright.store.schema import HEAD

    database = Database(dialect_of(url), create=create)
    try:
        version = database.version()
        if version is None and create:
            from shiftright.store import creation

            creation.create(database)
            version = database.version()
        if version != HEAD:
            from shiftright.store.upgrade import upgrade

            upgrade(database, create=create)
    except BaseException:
        database.close()
        raise
    return Records(database)


def dialect_of(url: str) -> Dialect:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    hint = "Use sqlite:///path/to/records.db or postgresql://user:password@host/database."
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UsageError("the records URL is not a URL (SHIFTRIGHT_RECORDS_URL)", hint=hint) from error
    match parsed.get_backend_name():
        case "sqlite":
            from shiftright.store.sqlite import Sqlite

            return Sqlite(parsed)
        case "postgresql" | "postgres":
            from shiftright.store.postgres import Postgres

            return Postgres(parsed)
        case other:
            raise UsageError(f"records cannot be kept in {other!r}", hint=hint)
