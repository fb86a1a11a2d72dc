"""The outbox: what is to be told to whom, written with what it tells of, emptied when there is time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from shiftright.core.incident import NoticeEvent
from shiftright.store import schema
from shiftright.store.database import Database
from shiftright.store.ids import sortable_id
from shiftright.store.leases import Leases

_table = schema.notifications.c
_whole = sa.select(schema.notifications)
_LEASE = "notifications"


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one channel (``channel`` "": to whom is not known yet). ``about`` is an incident or a review.
    ``id`` stays the same over attempts: who gets it twice can tell."""

    id: str
    about: str
    event: NoticeEvent
    channel: str
    status: Literal["waiting", "sent", "failed"]
    attempts: int
    error: str
    created_at: float
    due_at: float
    sent_at: float | None = None


def announce(connection: sa.Connection, about: str, event: NoticeEvent) -> None:
    """Something happened; in the transaction in which it did."""
    newest = connection.execute(sa.select(sa.func.max(_table.id))).scalar()
    now = time.time()
    row = Notification(
        id=sortable_id("n", None if newest is None else newest.partition(".")[0]),
        about=about,
        event=event,
        channel="",
        status="waiting",
        attempts=0,
        error="",
        created_at=now,
        due_at=now,
    )
    connection.execute(sa.insert(schema.notifications).values(msgspec.structs.asdict(row)))


class Notifications:
    """Notifications, oldest first. One process at a time sends them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = Leases(database)

    def take_lease(self, holder: str, seconds: float) -> bool:
        """Is sending ours? Taking it again renews it."""
        return self._leases.take(_LEASE, holder, seconds) == holder

    def release_lease(self, holder: str) -> None:
        self._leases.release(_LEASE, holder)

    def due(self, limit: int = 100) -> tuple[Notification, ...]:
        """What waits to be sent now."""
        now = (_table.status == "waiting") & (_table.due_at <= time.time())
        return self._select(_whole.where(now).order_by(_table.id).limit(limit))

    def of(self, about: str) -> tuple[Notification, ...]:
        """All that was or will be told of an incident or a review."""
        return self._select(_whole.where(_table.about == about).order_by(_table.id))

    def address(self, row: Notification, channels: Sequence[str]) -> None:
        """Instead of one without a channel, one for each of these: none where nobody is to be told."""
        rows = [
            msgspec.structs.asdict(msgspec.structs.replace(row, id=f"{row.id}.{name}", channel=name))
            for name in channels
        ]
        with self._database.write() as connection:
            gone = connection.execute(sa.delete(schema.notifications).where(_table.id == row.id)).rowcount
            if gone and rows:
                connection.execute(sa.insert(schema.notifications), rows)

    def sent(self, row: Notification) -> None:
        self._set(row, status="sent", error="", sent_at=time.time())

    def failed(self, row: Notification, error: str, *, again_in_s: float | None) -> None:
        """An attempt failed; None: it was the last."""
        due = time.time() + (again_in_s or 0.0)
        self._set(row, status="failed" if again_in_s is None else "waiting", error=error, due_at=due)

    def _set(self, row: Notification, **values: Any) -> None:
        with self._database.write() as connection:
            at = sa.update(schema.notifications).where(_table.id == row.id)
            connection.execute(at.values(attempts=row.attempts + 1, **values))

    def _select(self, statement: sa.Select[Any]) -> tuple[Notification, ...]:
        with self._database.read() as connection:
            return tuple(Notification(**row._mapping) for row in connection.execute(statement))
