"""Answers: every call of a feature that was made, so that nothing is paid for twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from shiftright.core.answer import Answer
from shiftright.store import schema
from shiftright.store.codec import (
    decode_failure,
    decode_json,
    decode_spans,
    decode_usage,
    encode,
    encode_spans,
)
from shiftright.store.database import Database
from shiftright.store.rows import StoredAnswer

T = TypeVar("T")

_table = schema.answers.c
_columns = [c for c in schema.answers.columns if c.name not in ("number", "spans")]
# Spans are most of an answer's bytes and a re-run does not look at them.
_light = sa.select(*_columns, sa.null().label("spans"))
_whole = sa.select(*_columns, _table.spans)


class Answers:
    """Stored Answers, found again by what was asked: ``(variant_digest, input_digest, repeat)``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = database.insertion(schema.answers)

    def put(self, answers: Iterable[StoredAnswer]) -> None:
        """All of them, durably, in one transaction; or none and a StoreError."""
        rows = answer_rows(answers)
        with self._database.write() as connection:
            self.put_rows(connection, rows)

    def get(
        self, variant_digest: str, *, only: Collection[str] | None = None, include_failed: bool = False
    ) -> dict[tuple[str, int], StoredAnswer]:
        """The answers of one variant by ``(input_digest, repeat)``, without their spans.

        Args:
            only: input digests to look for (default: all).
            include_failed: give the latest failed answer where no call has succeeded.

        Where several calls succeeded, the one stored last.
        """
        latest = _light.where(_table.variant_digest == variant_digest).order_by(_table.number)
        if not include_failed:
            latest = latest.where(_table.failure.is_(None))
        found: dict[tuple[str, int], StoredAnswer] = {}
        with self._database.read() as connection:
            for statement in _narrowed(latest, _table.input_digest, only):
                for row in connection.execute(statement):
                    stored = _from_row(row)
                    key = (stored.input_digest, stored.repeat)
                    if stored.answer.failure is None or _failed_or_none(found.get(key)):
                        found[key] = stored
        return found

    def by_ids(self, ids: Collection[str]) -> dict[str, StoredAnswer]:
        """Whole answers, spans included, by id; ids that are not stored are left out."""
        with self._database.read() as connection:
            return {
                row[0]: _from_row(row)
                for statement in _narrowed(_whole, _table.id, ids)
                for row in connection.execute(statement)
            }

    def put_rows(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """The transaction part of ``put``, for a flush of several tables; ``rows`` from ``answer_rows``."""
        self._insert(connection, rows)


def answer_rows(answers: Iterable[StoredAnswer]) -> list[tuple[Any, ...]]:
    return [_to_row(answer) for answer in answers]


def _failed_or_none(stored: StoredAnswer | None) -> bool:
    return stored is None or stored.answer.failure is not None


def _narrowed(
    statement: sa.Select[Any], column: sa.ColumnElement[str], only: Collection[str] | None
) -> Iterator[sa.Select[Any]]:
    """``statement`` itself, or several that each ask for some of ``only`` (backends limit parameters)."""
    if only is None:
        yield statement
        return
    rest = iter(dict.fromkeys(only))
    while part := list(islice(rest, 500)):
        yield statement.where(column.in_(part))


def _to_row(stored: StoredAnswer) -> tuple[Any, ...]:
    a = stored.answer
    return (
        stored.id,
        stored.feature,
        stored.variant_digest,
        stored.input_digest,
        stored.repeat,
        stored.run_id,
        stored.case_id,
        encode(a.output),
        None if a.failure is None else encode(a.failure),
        encode(a.usage),
        a.cost_usd,
        a.latency_s,
        a.model_calls,
        a.cached_calls,
        encode_spans(a.spans),
        stored.created_at,
    )


def _from_row(row: Any) -> StoredAnswer:
    (
        id, feature, variant_digest, input_digest, repeat, run_id, case_id,
        output, failure, usage, cost_usd, latency_s, model_calls, cached_calls, created_at, spans,
    ) = row  # fmt: skip
    return StoredAnswer(
        id=id,
        feature=feature,
        variant_digest=variant_digest,
        input_digest=input_digest,
        repeat=repeat,
        run_id=run_id,
        case_id=case_id,
        answer=Answer(
            output=decode_json(output),
            failure=None if failure is None else decode_failure(failure),
            usage=decode_usage(usage),
            cost_usd=cost_usd,
            latency_s=latency_s,
            model_calls=model_calls,
            cached_calls=cached_calls,
            spans=() if spans is None else decode_spans(spans),
        ),
        created_at=created_at,
    )
