"""Answers: every call of a feature that was made, so that nothing is paid for twice."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from shiftright.core.answer import Answer
from shiftright.errors import StoreError
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
        self, variant_digest: str, *, include_failed: bool = False
    ) -> dict[tuple[str, int], StoredAnswer]:
        """The answers of one variant by ``(input_digest, repeat)``, without their spans.

        Where several calls succeeded, the one stored last; with ``include_failed``, the latest failed answer where none
        has.
        """
        latest = _light.where(_table.variant_digest == variant_digest).order_by(_table.number)
        if not include_failed:
            latest = latest.where(_table.failure.is_(None))
        found: dict[tuple[str, int], StoredAnswer] = {}
        with self._database.read() as connection:
            for row in connection.execute(latest):
                stored = _from_row(row)
                key = (stored.input_digest, stored.repeat)
                before = found.get(key)
                if stored.answer.failure is None or before is None or before.answer.failure is not None:
                    found[key] = stored
        return found

    def by_ids(self, ids: Collection[str]) -> dict[str, StoredAnswer]:
        """Whole answers, spans included, by id; ids that are not stored are left out."""
        wanted = _whole.where(self._database.dialect.among(_table.id, [*ids]))
        with self._database.read() as connection:
            return {row[0]: _from_row(row) for row in connection.execute(wanted)}

    def newest(self, variant_digest: str, *, limit: int) -> tuple[StoredAnswer, ...]:
        """The answers of one variant that were stored last, newest first, spans included."""
        mine = _whole.where(_table.variant_digest == variant_digest).order_by(_table.number.desc())
        with self._database.read() as connection:
            return tuple(_from_row(row) for row in connection.execute(mine.limit(limit)))

    def put_rows(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """The transaction part of ``put``, for a flush of several tables; ``rows`` from ``answer_rows``."""
        self._insert(connection, rows)


def answer_rows(answers: Iterable[StoredAnswer]) -> list[tuple[Any, ...]]:
    return [_to_row(answer) for answer in answers]


def _to_row(stored: StoredAnswer) -> tuple[Any, ...]:
    a = stored.answer
    try:
        output, spans = encode(a.output), encode_spans(a.spans)
    except StoreError as error:
        raise StoreError(f"case {stored.case_id}: {error.message}", hint=error.hint) from error
    return (
        stored.id,
        stored.feature,
        stored.variant_digest,
        stored.input_digest,
        stored.repeat,
        stored.run_id,
        stored.case_id,
        output,
        None if a.failure is None else encode(a.failure),
        encode(a.usage),
        a.cost_usd,
        a.latency_s,
        a.model_calls,
        a.cached_calls,
        spans,
        stored.created_at,
    )


def _from_row(row: Any) -> StoredAnswer:
    (
        id, feature, variant_digest, input_digest, repeat, run_id, case_id,
        output, failure, usage, cost_usd, latency_s, model_calls, cached_calls, created_at, spans,
    ) = row  # fmt: skip
    # Interned: the same few strings in every row would be most of the memory.
    return StoredAnswer(
        id=id,
        feature=sys.intern(feature),
        variant_digest=sys.intern(variant_digest),
        input_digest=input_digest,
        repeat=repeat,
        run_id=sys.intern(run_id),
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
