"""The ledger of decisions: nobody can retry until green."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from shiftright.core.verdict import Verdict
from shiftright.errors import StoreError
from shiftright.store import schema
from shiftright.store.codec import decode_object, decode_values, decode_verdict, encode
from shiftright.store.database import Database
from shiftright.store.ids import sortable_id
from shiftright.store.leases import Leases
from shiftright.store.rows import ConsumedRow, DecisionRow

_decisions = schema.decisions.c
_consumed = schema.consumed.c
_whole = sa.select(schema.decisions)


class Ledger:
    """Decisions, the cases each has used in order, and who is at work on them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = Leases(database)
        self._insert = database.insertion(schema.decisions)
        self._insert_consumed = database.insertion(schema.consumed)

    def new_id(self) -> str:
        """An id for the next decision; it sorts after every decision there is."""
        with self._database.read() as connection:
            return sortable_id("d", connection.execute(sa.select(sa.func.max(_decisions.id))).scalar())

    def find(self, key: str) -> list[DecisionRow]:
        """All attempts at one decision, the first one first."""
        return self._select(_whole.where(_decisions.key == key).order_by(_decisions.attempt))

    def find_related(
        self, feature: str, *, variant: str | None = None, baseline: str | None = None
    ) -> list[DecisionRow]:
        """Decisions on a feature (and variant, and baseline), newest first, whatever their datasets."""
        statement = _whole.where(_decisions.feature == feature).order_by(_decisions.id.desc())
        if variant is not None:
            statement = statement.where(_decisions.variant == variant)
        if baseline is not None:
            statement = statement.where(_decisions.baseline == baseline)
        return self._select(statement)

    def get(self, decision_id: str) -> DecisionRow | None:
        found = self._select(_whole.where(_decisions.id == decision_id))
        return found[0] if found else None

    def create(self, decision: DecisionRow) -> None:
        """
        Raises:
            StoreError: when another process has just begun the same attempt.
        """
        row = _to_row(decision)
        with self._database.write() as connection:
            try:
                self._insert(connection, [row])
            except IntegrityError as error:
                raise _at_work(decision.id) from error

    def append(self, consumed: Sequence[ConsumedRow]) -> None:
        """Add the cases used next, in one transaction.

        Raises:
            StoreError: when another process has used these positions meanwhile, when a position would be left
                out, or when the decision has been made.
        """
        rows = consumed_rows(consumed)
        with self._database.write() as connection:
            self.append_rows(connection, rows)

    def consumed(self, decision_id: str) -> list[ConsumedRow]:
        """The cases used, in order."""
        rows = sa.select(schema.consumed).where(_consumed.decision_id == decision_id)
        with self._database.read() as connection:
            return [
                ConsumedRow(
                    decision,
                    position,
                    case_id,
                    digest,
                    decode_values(candidate),
                    decode_values(baseline),
                    closes,
                )
                for decision, position, case_id, digest, candidate, baseline, closes in connection.execute(
                    rows.order_by(_consumed.position)
                )
            ]

    def decide(self, decision_id: str, verdict: Verdict) -> None:
        """Close the decision for good.

        Raises:
            StoreError: when it is closed already, or unknown.
        """
        self._change(decision_id, verdict=encode(verdict), decided=True)

    def update_frozen(self, decision_id: str, frozen: dict[str, Any]) -> None:
        """Replace what was fixed at the first call (a raised cap changes the plan, never the scores).

        Raises:
            StoreError: when the decision is closed, or unknown.
        """
        self._change(decision_id, frozen=encode(frozen))

    def lease(self, decision_id: str, holder: str, seconds: float) -> str:
        """Take or renew the right to run this decision (see ``Leases.take``) for ``leases.new_holder()``.

        Returns:
            Who has it now: ``holder`` when it is ours.
        """
        return self._leases.take(f"decision/{decision_id}", holder, seconds)

    def acquire(self, decision_id: str, holder: str, seconds: float) -> None:
        """Like ``lease``, but where another has it, watches whether it lives (at most for the other's term).

        Raises:
            StoreError: when it does.
        """
        other = self._leases.acquire(f"decision/{decision_id}", holder, seconds)
        if other != holder:
            raise _at_work(f"{decision_id}, {other}")

    def release(self, decision_id: str, holder: str) -> None:
        """Give the lease back."""
        self._leases.release(f"decision/{decision_id}", holder)

    def append_rows(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """The transaction part of ``append``, for a flush of several tables."""
        for decision_id in dict.fromkeys(row[0] for row in rows):
            positions = [row[1] for row in rows if row[0] == decision_id]
            self._check_next(connection, decision_id, positions)
        self._insert_consumed(connection, rows)

    def _check_next(self, connection: sa.Connection, decision_id: str, positions: list[int]) -> None:
        _require_open(connection, decision_id)
        used = sa.select(sa.func.max(_consumed.position)).where(_consumed.decision_id == decision_id)
        last = connection.execute(used).scalar()
        expected = 0 if last is None else last + 1
        if positions[0] < expected:
            raise _at_work(decision_id)
        if positions != list(range(expected, expected + len(positions))):
            raise StoreError(f"decision {decision_id}: position {expected} comes next, not {positions}")

    def _select(self, statement: sa.Select[Any]) -> list[DecisionRow]:
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(statement)]

    def _change(self, decision_id: str, **values: Any) -> None:
        change = sa.update(schema.decisions).where(_decisions.id == decision_id)
        with self._database.write() as connection:
            _require_open(connection, decision_id)
            connection.execute(change.values(updated_at=time.time(), **values))


def consumed_rows(consumed: Sequence[ConsumedRow]) -> list[tuple[Any, ...]]:
    return [
        (
            c.decision_id,
            c.position,
            c.case_id,
            c.case_digest,
            encode(c.candidate),
            encode(c.baseline),
            c.closes,
        )
        for c in consumed
    ]


def _require_open(connection: sa.Connection, decision_id: str) -> None:
    state = sa.select(_decisions.decided).where(_decisions.id == decision_id).with_for_update()
    decided = connection.execute(state).scalar()
    if decided is None:
        raise StoreError(f"there is no decision {decision_id} in the ledger")
    if decided:
        raise StoreError(
            f"decision {decision_id} has been made already",
            hint="Run the command again to see its verdict; a new attempt is --new-decision.",
        )


def _at_work(which: str) -> StoreError:
    return StoreError(
        f"another eval is running this decision ({which})",
        hint="Wait for it to end and run the command again: it goes on from what the other has recorded.",
    )


def _to_row(d: DecisionRow) -> tuple[Any, ...]:
    return (
        d.id,
        d.key,
        d.attempt,
        d.feature,
        d.variant,
        d.baseline,
        d.estimand,
        encode(d.parts),
        d.seed,
        encode(d.frozen),
        None if d.verdict is None else encode(d.verdict),
        d.decided,
        d.created_at,
        d.updated_at,
    )


def _from_row(row: sa.Row[Any]) -> DecisionRow:
    fields = dict(row._mapping)
    fields["parts"] = decode_object(row.parts)
    fields["frozen"] = decode_object(row.frozen)
    fields["verdict"] = None if row.verdict is None else decode_verdict(row.verdict)
    return DecisionRow(**fields)
