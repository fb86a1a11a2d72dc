"""Rollouts: their rows, the requests that were part of them, and the outcomes that entered their tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from shiftright.core.rollout import Plan, Rollout, State
from shiftright.errors import UsageError
from shiftright.store import schema
from shiftright.store.codec import decode_ids, decode_json, decode_object, encode
from shiftright.store.database import Database
from shiftright.store.ids import sortable_id
from shiftright.store.leases import Leases
from shiftright.store.rows import ExposureRow, FollowedRow, OutcomeRow

_table = schema.rollouts.c
_seen = schema.exposures.c
_closed = schema.outcomes.c
_whole = sa.select(schema.rollouts)


class Rollouts:
    """Rollouts by feature, newest first. Safe to share among threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = Leases(database)
        self._expose = database.insertion(schema.exposures)
        self._close = database.insertion(schema.outcomes)

    def take_lease(self, rollout_id: str, holder: str, seconds: float) -> bool:
        """Is it ours to move on? See ``leases.Leases.take``; taking it again renews it."""
        return self._leases.take(f"rollout/{rollout_id}", holder, seconds) == holder

    def release_lease(self, rollout_id: str, holder: str) -> None:
        self._leases.release(f"rollout/{rollout_id}", holder)

    def add(self, rollout: Rollout) -> Rollout:
        """Store a new one; its ``id`` is given here.

        Raises:
            UsageError: one of this feature is open.
        """
        with self._database.write() as connection:
            open_one = connection.execute(
                _whole.where(_of(rollout.feature), _table.ended_at.is_(None))
            ).first()
            if open_one is not None:
                raise UsageError(
                    f"a rollout of {rollout.feature} is open already: {open_one.id}, {open_one.state}",
                    hint=f"See it: shiftright rollout {rollout.feature} --status. End it: --back",
                )
            newest = connection.execute(sa.select(sa.func.max(_table.id))).scalar()
            made = msgspec.structs.replace(rollout, id=sortable_id("o", newest))
            values = msgspec.structs.asdict(made) | {"plan": encode(made.plan), "evidence": "{}"}
            connection.execute(sa.insert(schema.rollouts).values(**values, settled=False))
        return made

    def get(self, rollout_id: str) -> FollowedRow:
        """The rollout with this id, or the only one whose id begins with it.

        Raises:
            UsageError: for none or several.
        """
        prefix = _table.id.startswith(rollout_id, autoescape=True)
        found = self._select(_whole.where(prefix).order_by(_table.id).limit(6))
        if len(found) == 1 or (found and found[0].rollout.id == rollout_id):
            return found[0]
        if found:
            ids = ", ".join(row.rollout.id for row in found)
            raise UsageError(f"several rollouts begin with {rollout_id!r}", hint=f"Add letters: {ids}")
        raise UsageError(
            f"there is no rollout {rollout_id!r}", hint="See them: shiftright rollout F --status"
        )

    def list(self, feature: str | None = None, *, limit: int = 50) -> tuple[FollowedRow, ...]:
        """Newest first."""
        statement = _whole.order_by(_table.id.desc()).limit(limit)
        return self._select(statement if feature is None else statement.where(_of(feature)))

    def unsettled(self) -> tuple[FollowedRow, ...]:
        """Those that are open, and those that have ended with something left to do about it; oldest first."""
        return self._select(_whole.where(_table.settled == sa.false()).order_by(_table.id))

    def change(self, before: Rollout, after: Rollout) -> bool:
        """Go from one state or step to another, if it is still where ``before`` says; what follows is then unsettled.

        False, with nothing changed, where somebody else moved it first.
        """
        values = {
            "state": after.state,
            "step": after.step,
            "step_at": after.step_at,
            "ended_at": after.ended_at,
            "reason": after.reason,
            "by": after.by,
            "settled": False,
        }
        mine = (_table.id == before.id) & (_table.state == before.state) & (_table.step == before.step)
        with self._database.write() as connection:
            return bool(connection.execute(sa.update(schema.rollouts).where(mine).values(values)).rowcount)

    def settle(self, rollout: Rollout) -> None:
        """Everything that follows from its state is done."""
        mine = (_table.id == rollout.id) & (_table.state == rollout.state)
        with self._database.write() as connection:
            connection.execute(sa.update(schema.rollouts).where(mine).values(settled=True))

    def erase_personal(self, name: str) -> int:
        """Forget who ended a rollout and why, where that names this person; returns of how many."""
        named = (_table.by == name) | _table.reason.contains(name, autoescape=True)
        with self._database.write() as connection:
            changed = sa.update(schema.rollouts).where(named, _table.by != "").values(by="", reason="")
            return int(connection.execute(changed).rowcount)

    def expose(self, rows: Sequence[ExposureRow]) -> None:
        """Requests that were part of a rollout, in one transaction."""
        if not rows:
            return
        values = [
            (r.rollout_id, r.trace_id, r.unit, r.arm, r.probability, r.at, r.latency_s, r.cost_usd, r.failed)
            for r in rows
        ]
        with self._database.write() as connection:
            self._expose(connection, values)

    def exposures(self, rollout_id: str, *, after: int = 0, limit: int = 10_000) -> tuple[ExposureRow, ...]:
        """In the order of storing, those numbered above ``after``."""
        mine = (_seen.rollout_id == rollout_id) & (_seen.number > after)
        statement = sa.select(schema.exposures).where(mine).order_by(_seen.number).limit(limit)
        with self._database.read() as connection:
            return tuple(ExposureRow(**row._mapping) for row in connection.execute(statement))

    def entered(self, rollout_id: str, units: Sequence[str]) -> frozenset[str]:
        """Which of these units have entered the tests already."""
        if not units:
            return frozenset()
        among = self._database.dialect.among(_closed.unit, units)
        statement = sa.select(_closed.unit).where(_closed.rollout_id == rollout_id, among)
        with self._database.read() as connection:
            return frozenset(connection.execute(statement).scalars())

    def follow(self, rollout_id: str, outcomes: Sequence[OutcomeRow], evidence: dict[str, Any]) -> None:
        """Outcomes enter the log at their positions, with what is known by then, in one transaction.

        Raises:
            StoreError: another has entered an outcome at that place or of that unit; nothing is stored.
        """
        rows = [
            (rollout_id, o.position, o.unit, o.canary, o.probability, encode(o.scores), encode(o.traces))
            for o in outcomes
        ]
        text = encode(evidence)
        with self._database.write() as connection:
            self._close(connection, rows)
            mine = _table.id == rollout_id
            connection.execute(sa.update(schema.rollouts).where(mine).values(evidence=text))

    def outcomes(self, rollout_id: str, *, since: int = 0, limit: int = 10_000) -> tuple[OutcomeRow, ...]:
        """The log from position ``since`` on, in order."""
        mine = (_closed.rollout_id == rollout_id) & (_closed.position >= since)
        statement = sa.select(schema.outcomes).where(mine).order_by(_closed.position).limit(limit)
        with self._database.read() as connection:
            return tuple(
                OutcomeRow(
                    position=row.position,
                    unit=row.unit,
                    canary=bool(row.canary),
                    probability=row.probability,
                    scores=decode_json(row.scores),
                    traces=decode_ids(row.traces),
                )
                for row in connection.execute(statement)
            )

    def _select(self, statement: sa.Select[Any]) -> tuple[FollowedRow, ...]:
        with self._database.read() as connection:
            return tuple(_from_row(row) for row in connection.execute(statement))


def _of(feature: str) -> sa.ColumnElement[bool]:
    return _table.feature == feature


_decode_plan = msgspec.json.Decoder(Plan).decode


def _from_row(row: sa.Row[Any]) -> FollowedRow:
    fields = dict(row._mapping)
    evidence, settled = decode_object(fields.pop("evidence")), bool(fields.pop("settled"))
    fields["plan"] = _decode_plan(fields["plan"])
    fields["state"] = msgspec.convert(fields["state"], State)
    return FollowedRow(Rollout(**fields), evidence, settled)
