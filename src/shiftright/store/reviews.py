"""Reviews: a person's work, from the day it is opened to the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from shiftright.errors import UsageError
from shiftright.store import schema
from shiftright.store.codec import decode_object, encode
from shiftright.store.database import Database
from shiftright.store.ids import sortable_id
from shiftright.store.notifications import announce
from shiftright.store.rows import Page, ReviewKind, ReviewRow, ReviewStatus

_table = schema.reviews.c
_whole = sa.select(schema.reviews)
LARGEST_PAGE = 1_000
_OVERDUE = "overdue"


class ReviewClosed(UsageError):
    """Somebody was faster: who, and when."""

    code = "closed"

    def __init__(self, review: ReviewRow) -> None:
        at = datetime.fromtimestamp(review.resolved_at or review.created_at, UTC)
        super().__init__(
            f"review {review.id} was already {review.status} by {review.reviewer} at {at:%Y-%m-%d %H:%M:%S} UTC",
            hint=f"See it: shiftright review show {review.id}",
        )


class Reviews:
    """Reviews, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self,
        kind: ReviewKind,
        subject: dict[str, Any],
        *,
        feature: str = "",
        trace_id: str = "",
        due_at: float | None = None,
    ) -> ReviewRow:
        """A new review; where one of this kind is open on the trace, that one, with the lists in ``subject`` joined.

        Of escalations each has its own asker: none joins another, and people are told of each.
        """
        mine = (_table.trace_id == trace_id) & (_table.kind == kind) & (_table.status == "open")
        with self._database.write() as connection:
            if trace_id and kind != "escalation":
                found = connection.execute(_whole.where(mine).order_by(_table.id).limit(1)).first()
                if found is not None:
                    return self._join(connection, _from_row(found), subject)
            newest = connection.execute(sa.select(sa.func.max(_table.id))).scalar()
            review = ReviewRow(
                id=sortable_id("v", newest),
                feature=feature,
                trace_id=trace_id,
                kind=kind,
                subject=subject,
                created_at=time.time(),
                due_at=due_at,
            )
            fields = msgspec.structs.asdict(review) | {"subject": encode(subject)}
            connection.execute(sa.insert(schema.reviews).values(fields))
            if kind == "escalation":
                announce(connection, review.id, "escalated")
        return review

    def tell_overdue(self) -> tuple[ReviewRow, ...]:
        """Put word of every escalation that is overdue into the outbox, once; gives those that are new."""
        late = (_table.kind == "escalation") & (_table.status == "open") & (_table.due_at < time.time())
        told: list[ReviewRow] = []
        with self._database.read() as connection:
            if connection.execute(_whole.where(late).limit(1)).first() is None:
                return ()
        with self._database.write() as connection:
            for row in connection.execute(_whole.where(late)).all():
                review = _from_row(row)
                if _OVERDUE in review.subject:
                    continue
                subject = review.subject | {_OVERDUE: True}
                where = _table.id == review.id
                connection.execute(sa.update(schema.reviews).where(where).values(subject=encode(subject)))
                announce(connection, review.id, "overdue")
                told.append(review)
        return tuple(told)

    def _join(self, connection: sa.Connection, review: ReviewRow, more: dict[str, Any]) -> ReviewRow:
        subject = dict(review.subject)
        for key, value in more.items():
            before = subject.get(key)
            if isinstance(before, list) and isinstance(value, list):
                subject[key] = before + [entry for entry in value if entry not in before]
            elif before is None:
                subject[key] = value
        where = _table.id == review.id
        connection.execute(sa.update(schema.reviews).where(where).values(subject=encode(subject)))
        return msgspec.structs.replace(review, subject=subject)

    def get(self, review_id: str) -> ReviewRow:
        """The review with this id, or the only one whose id begins with it.

        Raises:
            UsageError: for none or several.
        """
        prefix = _table.id.startswith(review_id, autoescape=True)
        with self._database.read() as connection:
            rows = connection.execute(_whole.where(prefix).order_by(_table.id).limit(6)).all()
        if len(rows) == 1 or (rows and rows[0].id == review_id):
            return _from_row(rows[0])
        if rows:
            ids = ", ".join(row.id for row in rows)
            raise UsageError(f"several reviews begin with {review_id!r}", hint=f"Add letters: {ids}")
        raise UsageError(f"there is no review {review_id!r}", hint="List them: shiftright review")

    def list(
        self,
        status: ReviewStatus | None = "open",
        *,
        feature: str | None = None,
        kind: ReviewKind | None = None,
        trace_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ReviewRow]:
        """Newest first, ``cursor`` from the page before; ``status`` None is every one."""
        size = min(limit, LARGEST_PAGE)
        statement = _whole.order_by(_table.id.desc()).limit(size + 1)
        exact = {"status": status, "feature": feature, "kind": kind, "trace_id": trace_id}
        for name, wanted in exact.items():
            if wanted is not None:
                statement = statement.where(_table[name] == wanted)
        if cursor is not None:
            statement = statement.where(_table.id < cursor)
        with self._database.read() as connection:
            rows = [_from_row(row) for row in connection.execute(statement)]
        return Page(tuple(rows[:size]), rows[size - 1].id if len(rows) > size else None)

    def counts(self, feature: str | None = None) -> dict[tuple[str, ReviewKind, ReviewStatus], int]:
        """How many there are by (feature, kind, status)."""
        columns = (_table.feature, _table.kind, _table.status)
        statement = sa.select(*columns, sa.func.count()).group_by(*columns)
        if feature is not None:
            statement = statement.where(_table.feature == feature)
        with self._database.read() as connection:
            return {(row[0], row[1], row[2]): row[3] for row in connection.execute(statement)}

    def change(self, review_id: str, *, feature: str, subject: dict[str, Any]) -> None:
        """Complete what is to be looked at, once its trace is there."""
        values = {"feature": feature, "subject": encode(subject)}
        with self._database.write() as connection:
            connection.execute(sa.update(schema.reviews).where(_table.id == review_id).values(values))

    def close(
        self,
        review_id: str,
        status: ReviewStatus,
        resolution: dict[str, Any] | Callable[[], dict[str, Any]],
        reviewer: str,
    ) -> ReviewRow:
        """Resolved or dismissed, once.

        Args:
            resolution: called where it has to be worked for, once nobody else can close the review any more; what it
                raises leaves the review open.

        Raises:
            ReviewClosed: when it is closed already.
        """
        values = {"status": status, "reviewer": reviewer, "resolved_at": time.time()}
        mine = (_table.id == review_id) & (_table.status == "open")
        with self._database.write() as connection:
            done = connection.execute(sa.update(schema.reviews).where(mine).values(values)).rowcount
            if done:
                found = encode(resolution() if callable(resolution) else resolution)
                where = _table.id == review_id
                connection.execute(sa.update(schema.reviews).where(where).values(resolution=found))
        review = self.get(review_id)
        if not done:
            raise ReviewClosed(review)
        return review


def _from_row(row: sa.Row[Any]) -> ReviewRow:
    fields = dict(row._mapping)
    fields["subject"] = decode_object(row.subject)
    fields["resolution"] = None if row.resolution is None else decode_object(row.resolution)
    return ReviewRow(**fields)
