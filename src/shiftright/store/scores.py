"""Scores of live traces: what scorers, users and people said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from shiftright.core.score import Score, Source
from shiftright.store import schema
from shiftright.store.database import Database
from shiftright.store.rows import ScoreRow

_table = schema.scores.c
_columns = [column.name for column in schema.scores.columns if column.name != "number"]
LARGEST_WINDOW = 100_000


class Scores:
    """Scores by trace, and by feature and check over a window of time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = database.insertion(schema.scores)

    def add(self, rows: Sequence[ScoreRow]) -> None:
        """All of them, durably, in one transaction."""
        if not rows:
            return
        with self._database.write() as connection:
            self._insert(connection, [_to_row(row) for row in rows])

    def of_trace(self, trace_id: str) -> tuple[ScoreRow, ...]:
        """Oldest first."""
        return self._select(_table.trace_id == trace_id)

    def of_traces(self, trace_ids: Sequence[str]) -> tuple[ScoreRow, ...]:
        """Of all these traces, oldest first."""
        return self._select(self._database.dialect.among(_table.trace_id, trace_ids)) if trace_ids else ()

    def window(
        self,
        feature: str,
        name: str,
        *,
        since: float,
        source: Source | None = None,
        variant: str | None = None,
    ) -> tuple[ScoreRow, ...]:
        """Scores of one check since then (seconds since 1970), in the order of arrival; at most the last
        ``LARGEST_WINDOW``."""
        wanted = (_table.feature == feature) & (_table.name == name) & (_table.created_at >= since)
        if source is not None:
            wanted &= _table.source == source
        if variant is not None:
            wanted &= _table.variant == variant
        return self._select(wanted)

    def values(self, feature: str, name: str, *, since: float) -> tuple[tuple[float, float | None], ...]:
        """(time, value) of what scorers said of the sampled traces since then (None: the measurement failed), in the
        order of arrival; at most the last ``LARGEST_WINDOW``."""
        wanted = (_table.feature == feature) & (_table.name == name) & (_table.created_at >= since)
        # an author says that a trace was chosen for what it is, not by lot: it would bias a mean
        wanted &= (_table.source == "scorer") & (_table.author == "")
        latest = sa.select(_table.created_at, _table.value).where(wanted).order_by(_table.number.desc())
        with self._database.read() as connection:
            rows = connection.execute(latest.limit(LARGEST_WINDOW)).all()
        return tuple([(row[0], row[1]) for row in reversed(rows)])

    def after(
        self, feature: str, name: str, number: int, *, limit: int
    ) -> tuple[tuple[int, str, float, float | None], ...]:
        """(number, trace id, time, value) of what scorers said of the sampled traces, in the order of arrival, those
        after this number (0: from the start)."""
        wanted = (_table.feature == feature) & (_table.name == name) & (_table.number > number)
        wanted &= (_table.source == "scorer") & (_table.author == "")
        columns = (_table.number, _table.trace_id, _table.created_at, _table.value)
        with self._database.read() as connection:
            rows = connection.execute(sa.select(*columns).where(wanted).order_by(_table.number).limit(limit))
            return tuple((row[0], row[1], row[2], row[3]) for row in rows)

    def _select(self, wanted: sa.ColumnElement[bool]) -> tuple[ScoreRow, ...]:
        latest = sa.select(*[_table[name] for name in _columns]).where(wanted)
        with self._database.read() as connection:
            rows = connection.execute(latest.order_by(_table.number.desc()).limit(LARGEST_WINDOW)).all()
        return tuple([_from_row(row) for row in reversed(rows)])


def _to_row(row: ScoreRow) -> tuple[Any, ...]:
    s = row.score
    return (
        row.trace_id, row.feature, row.variant, s.name, s.value, s.label, s.explanation, s.source, row.author,
        s.failure, s.cost_usd, row.created_at,
    )  # fmt: skip


def _from_row(row: sa.Row[Any]) -> ScoreRow:
    trace_id, feature, variant, name, value, label, explanation, source, author, failure, cost, at = tuple(
        row
    )
    score = Score(name, value, label, explanation, msgspec.convert(source, Source), failure, cost)
    return ScoreRow(
        trace_id=trace_id, feature=feature, variant=variant, score=score, created_at=at, author=author
    )
