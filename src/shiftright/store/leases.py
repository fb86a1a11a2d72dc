"""Leases: one process at a time, without trusting any clock. See docs/decisions/store.md."""

from __future__ import annotations

import os
import secrets
import socket
import time
from itertools import count
from typing import Any

import sqlalchemy as sa

from shiftright.store import schema
from shiftright.store.database import Database

_table = schema.leases.c


_LOOK_EVERY_S = 0.1
_holders = count(1)


def new_holder() -> str:
    """A holder's name, for people and for other processes of this machine: ``host/pid/number``.

    Each call gives a new one, so that two evals in one process are two holders: keep it to renew and release.
    """
    return f"{socket.gethostname()}/{os.getpid()}/{next(_holders)}"


class Leases:
    """Rows that say who is at work. A holder renews by taking again, well before its ``seconds`` are over.

    No time of day is stored or compared. Each renewal changes the row's counter; a process that wants the
    lease takes it over once it has watched the counter stand still for the holder's ``seconds`` on its own
    monotonic clock, or at once when the holder was a process of this machine that is gone.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watched: dict[str, tuple[tuple[str, int], float]] = {}

    def take(self, name: str, holder: str, seconds: float) -> str:
        """Take or renew the lease if it is free, ours or abandoned. Does not wait.

        Returns:
            Who holds it now: ``holder`` when it is ours.
        """
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(schema.leases).where(_table.name == name).with_for_update()
            ).first()
            if row is None:
                # PostgreSQL locks no row that is not there: another may insert it now, and the first wins.
                first = self._database.dialect.insert(schema.leases).on_conflict_do_nothing()
                # A fresh counter, so that a lease given back and taken again is not mistaken for one that stood still.
                counter = secrets.randbits(40)
                connection.execute(first.values(name=name, holder=holder, seconds=seconds, renewals=counter))
            elif row.holder == holder or self._abandoned(name, row):
                connection.execute(
                    sa.update(schema.leases)
                    .where(_table.name == name)
                    .values(holder=holder, seconds=seconds, renewals=row.renewals + 1)
                )
            return str(connection.execute(sa.select(_table.holder).where(_table.name == name)).scalar_one())

    def acquire(self, name: str, holder: str, seconds: float) -> str:
        """Take the lease, waiting only where its holder may be dead: until it renews, or its ``seconds`` are over.

        Returns:
            Who holds it now: ``holder`` when it is ours, otherwise one that is alive.
        """
        first = None
        while (holds := self.take(name, holder, seconds)) != holder:
            seen, _ = self._watched.get(name, (None, 0.0))
            if first is not None and seen != first:
                break
            first = seen
            time.sleep(_LOOK_EVERY_S)
        return holds

    def release(self, name: str, holder: str) -> None:
        """Give it back; nothing happens when another has taken it over."""
        with self._database.write() as connection:
            connection.execute(sa.delete(schema.leases).where(_table.name == name, _table.holder == holder))

    def _abandoned(self, name: str, row: sa.Row[Any]) -> bool:
        if is_gone(row.holder):
            return True
        seen, now = (row.holder, row.renewals), time.monotonic()
        before, since = self._watched.get(name, (None, now))
        if before != seen:
            self._watched[name] = (seen, now)
            return False
        return bool(now - since >= row.seconds)


def is_gone(holder: str) -> bool:
    """Whether the holder was a process of this machine that has ended; of another machine's nothing is known."""
    host, pid, _ = (*holder.split("/"), "", "")[:3]
    if os.name != "posix" or host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        pass  # it lives under another user, or the text is not one of ours
    return False
