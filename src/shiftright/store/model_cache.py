"""The answers of models to single requests, as bytes: a changed step re-pays only its own calls."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from concurrent.futures import Future

import sqlalchemy as sa

from shiftright.store import schema
from shiftright.store.database import Database
from shiftright.store.rows import CachedCall

_table = schema.model_cache.c
_one = sa.select(_table.body).where(_table.key == sa.bindparam("k"), _table.repeat == sa.bindparam("r"))


class ModelCache:
    """Bytes by ``(key, repeat)``. Safe to use from any number of threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[tuple[CachedCall, Future[None]]] = deque()
        self._turn = threading.Lock()
        self._insert = database.insertion(schema.model_cache, replace=True)

    def get(self, key: str, repeat: int = 0) -> bytes | None:
        """The stored body, or None."""
        with self._database.read() as connection:
            row = connection.execute(_one, {"k": key, "r": repeat}).first()
        return None if row is None else row[0]

    def get_many(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
        """The bodies there are, by ``(key, repeat)``, in one query."""
        asked = set(wanted)
        among = self._database.dialect.among(_table.key, [*{key for key, _ in asked}])
        rows = sa.select(_table.key, _table.repeat, _table.body).where(among)
        with self._database.read() as connection:
            return {
                (key, repeat): body
                for key, repeat, body in connection.execute(rows)
                if (key, repeat) in asked
            }

    def put(self, key: str, repeat: int, body: bytes) -> None:
        """Stored durably when this returns; an earlier body under the same key is replaced.

        Threads that put at the same time share one transaction, and so one wait for the disk.
        """
        mine: Future[None] = Future()
        self._waiting.append((CachedCall(key, repeat, body), mine))
        with self._turn:
            if not mine.done():
                self._put_waiting()
        mine.result()

    def _put_waiting(self) -> None:
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            self.put_many(call for call, _ in batch)
        except BaseException as error:  # noqa: BLE001 - everyone who waits raises it again
            for _, stored in batch:
                stored.set_exception(error)
        else:
            for _, stored in batch:
                stored.set_result(None)

    def put_many(self, calls: Iterable[CachedCall]) -> None:
        """Like ``put``, all in one transaction: with one wait for the disk instead of one each."""
        now = time.time()
        rows = [(call.key, call.repeat, call.body, now) for call in calls]
        with self._database.write() as connection:
            self._insert(connection, rows)
