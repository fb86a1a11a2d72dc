"""The answers of models to single requests, as bytes: a changed step re-pays only its own calls."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

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
        self._insert = database.insertion(schema.model_cache, replace=True)

    def get(self, key: str, repeat: int = 0) -> bytes | None:
        """The stored body, or None."""
        with self._database.read() as connection:
            row = connection.execute(_one, {"k": key, "r": repeat}).first()
        return None if row is None else bytes(row[0])

    def get_many(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
        """The bodies there are, by ``(key, repeat)``, in one query per 500 keys."""
        keys, asked = list({key for key, _ in wanted}), set(wanted)
        found: dict[tuple[str, int], bytes] = {}
        with self._database.read() as connection:
            for start in range(0, len(keys), 500):
                part = _table.key.in_(keys[start : start + 500])
                for key, repeat, body in connection.execute(
                    sa.select(_table.key, _table.repeat, _table.body).where(part)
                ):
                    if (key, repeat) in asked:
                        found[key, repeat] = bytes(body)
        return found

    def put(self, key: str, repeat: int, body: bytes) -> None:
        """Stored durably when this returns; an earlier body under the same key is replaced."""
        self.put_many([CachedCall(key, repeat, body)])

    def put_many(self, calls: Iterable[CachedCall]) -> None:
        """Like ``put``, all in one transaction: with one wait for the disk instead of one each."""
        now = time.time()
        rows = [(call.key, call.repeat, call.body, now) for call in calls]
        with self._database.write() as connection:
            self._insert(connection, rows)
