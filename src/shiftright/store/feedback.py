"""Feedback: what users said of traces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from shiftright.store import schema
from shiftright.store.codec import decode_json, encode
from shiftright.store.database import Database
from shiftright.store.ids import sortable_id
from shiftright.store.rows import FeedbackRow, Page

_table = schema.feedback.c
_columns = [column.name for column in schema.feedback.columns]
LARGEST_PAGE = 1_000


class FeedbackRows:
    """Feedback by trace and by feature, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, given: FeedbackRow) -> FeedbackRow:
        """Store it under an id of its own. One whose ``idempotency_key`` is there already is not stored again.

        Returns:
            What is stored: the earlier one where the key was there.
        """
        insert = self._database.dialect.insert(schema.feedback)
        values = {name: getattr(given, name) for name in _columns if name != "id"}
        values["correction"] = None if given.correction is None else encode(given.correction)
        with self._database.write() as connection:
            newest = connection.execute(sa.select(sa.func.max(_table.id))).scalar()
            values["id"] = sortable_id("f", newest)
            keyed = insert.values(values).on_conflict_do_nothing(index_elements=["idempotency_key"])
            if connection.execute(keyed.returning(_table.id)).first() is not None:
                return msgspec.structs.replace(given, id=values["id"])
            same = sa.select(schema.feedback).where(_table.idempotency_key == given.idempotency_key)
            return _from_row(connection.execute(same).one())

    def of_trace(self, trace_id: str) -> tuple[FeedbackRow, ...]:
        """Oldest first."""
        found = sa.select(schema.feedback).where(_table.trace_id == trace_id).order_by(_table.id)
        with self._database.read() as connection:
            return tuple(_from_row(row) for row in connection.execute(found))

    def of_traces(self, trace_ids: Sequence[str]) -> tuple[FeedbackRow, ...]:
        """Of all these traces, oldest first."""
        if not trace_ids:
            return ()
        among = self._database.dialect.among(_table.trace_id, trace_ids)
        found = sa.select(schema.feedback).where(among).order_by(_table.id)
        with self._database.read() as connection:
            return tuple(_from_row(row) for row in connection.execute(found))

    def list(
        self,
        feature: str | None = None,
        *,
        name: str | None = None,
        since: float | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[FeedbackRow]:
        """Newest first; ``cursor`` from the page before; ``since`` in seconds since 1970."""
        size = min(limit, LARGEST_PAGE)
        statement = sa.select(schema.feedback).order_by(_table.id.desc()).limit(size + 1)
        if feature is not None:
            statement = statement.where(_table.feature == feature)
        if name is not None:
            statement = statement.where(_table.name == name)
        if since is not None:
            statement = statement.where(_table.created_at >= since)
        if cursor is not None:
            statement = statement.where(_table.id < cursor)
        with self._database.read() as connection:
            rows = [_from_row(row) for row in connection.execute(statement)]
        return Page(tuple(rows[:size]), rows[size - 1].id if len(rows) > size else None)

    def after(
        self, feature: str, name: str | None, feedback_id: str, *, limit: int
    ) -> tuple[tuple[str, str, float, float], ...]:
        """(id, trace id, time, value) in the order of arrival, those after this id ("": from the start)."""
        wanted = (_table.feature == feature) & (_table.id > feedback_id) & _table.value.is_not(None)
        if name is not None:
            wanted &= _table.name == name
        columns = (_table.id, _table.trace_id, _table.created_at, _table.value)
        with self._database.read() as connection:
            rows = connection.execute(sa.select(*columns).where(wanted).order_by(_table.id).limit(limit))
            return tuple((row[0], row[1], row[2], row[3]) for row in rows)

    def unlinked(self, limit: int = 200) -> tuple[str, ...]:
        """Traces whose feedback came before they did, newest first: nobody knows their feature yet."""
        newest = sa.func.max(_table.id).desc()
        found = sa.select(_table.trace_id).where(_table.feature == "").group_by(_table.trace_id)
        with self._database.read() as connection:
            return tuple(connection.execute(found.order_by(newest).limit(limit)).scalars())

    def link(self, trace_id: str, feature: str) -> None:
        """Say whose feedback that of a trace is, where that was not known."""
        mine = (_table.trace_id == trace_id) & (_table.feature == "")
        with self._database.write() as connection:
            connection.execute(sa.update(schema.feedback).where(mine).values(feature=feature))


def _from_row(row: sa.Row[Any]) -> FeedbackRow:
    fields = dict(row._mapping)
    fields["correction"] = None if row.correction is None else decode_json(row.correction)
    return FeedbackRow(**fields)
