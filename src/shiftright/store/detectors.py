"""Drift detectors as they stand, so that a restart goes on where the process before it ended."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import sqlalchemy as sa

from shiftright.store import schema
from shiftright.store.codec import decode_object, encode
from shiftright.store.database import Database

_table = schema.detectors.c


class DetectorRow(msgspec.Struct, frozen=True):
    """``seen`` is up to where its stream was read ("" at the start); ``state`` is all that it knows."""

    feature: str
    check: str
    seen: str
    state: dict[str, Any]
    updated_at: float


class Detectors:
    """One by feature and check."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, feature: str, check: str) -> DetectorRow | None:
        mine = (_table.feature == feature) & (_table.check == check)
        with self._database.read() as connection:
            row = connection.execute(sa.select(schema.detectors).where(mine)).first()
        return (
            None if row is None else DetectorRow(**dict(row._mapping) | {"state": decode_object(row.state)})
        )

    def put(
        self, feature: str, check: str, before: DetectorRow | None, seen: str, state: dict[str, Any]
    ) -> bool:
        """Go on from ``before``; False where another process did so first: what it saw must not count twice."""
        values = {"seen": seen, "state": encode(state), "updated_at": time.time()}
        with self._database.write() as connection:
            if before is None:
                first = self._database.dialect.insert(schema.detectors).on_conflict_do_nothing()
                fresh = first.values(feature=feature, check=check, **values).returning(_table.seen)
                return connection.execute(fresh).first() is not None
            mine = (_table.feature == feature) & (_table.check == check) & (_table.seen == before.seen)
            mine &= _table.updated_at == before.updated_at
            changed = sa.update(schema.detectors).where(mine).values(values).returning(_table.seen)
            return connection.execute(changed).first() is not None
