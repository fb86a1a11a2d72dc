"""Access keys: who may use a server of ours, how often and for how much. Only a digest of a key is kept."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

import msgspec
import sqlalchemy as sa

from shiftright.errors import UsageError
from shiftright.store import schema
from shiftright.store.database import Database
from shiftright.store.ids import sortable_id

_PREFIX = "sk-sr-"
_table = schema.keys.c


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a key may do; None is no limit, an empty ``features`` every feature and model."""

    requests_per_minute: float | None = None
    month_at_most_usd: float | None = None
    features: tuple[str, ...] = ()


class AccessKey(msgspec.Struct, frozen=True):
    """A key as it is kept. Times are seconds since 1970."""

    id: str
    name: str
    digest: str
    limits: Limits
    created_at: float
    revoked_at: float | None = None


class Keys:
    """Keys by the SHA-256 of their text. Safe to share among threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, limits: Limits | None = None) -> tuple[AccessKey, str]:
        """A new key and its text, which is known only here and now.

        Raises:
            UsageError: when a key of that name is in use.
        """
        secret = _PREFIX + secrets.token_urlsafe(32)
        row = AccessKey(sortable_id("k"), name, digest_of_key(secret), limits or Limits(), time.time())
        with self._database.write() as connection:
            taken = sa.select(_table.id).where(_table.name == name, _table.revoked_at.is_(None))
            if connection.execute(taken).first() is not None:
                raise UsageError(
                    f"there is a key named {name!r} already",
                    hint=f"Choose another name, or: shiftright key revoke {name}",
                )
            connection.execute(
                sa.insert(schema.keys).values(
                    id=row.id,
                    name=row.name,
                    digest=row.digest,
                    limits=msgspec.json.encode(row.limits).decode(),
                    created_at=row.created_at,
                )
            )
        return row, secret

    def list(self) -> tuple[AccessKey, ...]:
        """All keys, revoked ones too, in the order they were made."""
        with self._database.read() as connection:
            return tuple(_key(row) for row in connection.execute(sa.select(schema.keys).order_by(_table.id)))

    def revoke(self, name_or_id: str) -> AccessKey:
        """Refuse a key from now on.

        Raises:
            UsageError: when no key in use has that name or id.
        """
        mine = sa.or_(_table.name == name_or_id, _table.id == name_or_id)
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(schema.keys).where(mine, _table.revoked_at.is_(None)).with_for_update()
            ).first()
            if row is None:
                raise UsageError(
                    f"there is no key {name_or_id!r} in use", hint="Show them: shiftright key list"
                )
            now = time.time()
            connection.execute(sa.update(schema.keys).where(_table.id == row.id).values(revoked_at=now))
        return msgspec.structs.replace(_key(row), revoked_at=now)


def digest_of_key(secret: str) -> str:
    """SHA-256 in hex. A key has 256 random bits, so a slow hash would protect nothing more."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: sa.Row[Any]) -> AccessKey:
    limits = msgspec.json.decode(row.limits, type=Limits)
    return AccessKey(row.id, row.name, row.digest, limits, row.created_at, row.revoked_at)
