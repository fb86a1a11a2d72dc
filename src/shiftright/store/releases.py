"""Releases and what was decided about them: one chain of records. See docs/decisions/releases.md."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
import sqlalchemy as sa

from shiftright.core.release import Record, RecordKind, Release
from shiftright.errors import StoreError, UsageError
from shiftright.store import schema
from shiftright.store.codec import encode
from shiftright.store.database import Database

_table = schema.releases.c
_whole = sa.select(schema.releases).order_by(_table.number)


class Releases:
    """The chain of all features, oldest first. Safe to share among threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self,
        kind: RecordKind,
        feature: str,
        digest: str,
        body: dict[str, Any],
        *,
        by: str = "",
        reason: str = "",
        same: Callable[[Record], bool] | None = None,
        sign: Callable[[str], str] | None = None,
    ) -> Record:
        """Seal one record onto the chain; it is on disk when this returns.

        Args:
            body: JSON data that is kept for good; what names a person goes into ``by`` and ``reason``, which can be
                erased.
            same: where it is true of a record of this kind, feature and digest, nothing is appended: what a process
                does again after a crash is done once.
            sign: gives the signature of a record's digest.

        Returns:
            The record, or the newest one that is the same.
        """
        personal = encode({"by": by, "reason": reason, "salt": secrets.token_hex(16)})
        text, at = encode(body), time.time()
        insert = self._database.dialect.insert(schema.releases).returning(_table.number)
        insert = insert.on_conflict_do_nothing(index_elements=["number"])
        mine = (_table.kind == kind) & (_table.feature == feature) & (_table.digest == digest)
        with self._database.write() as connection:
            while True:
                # read first: what others append after it makes the number below a conflict, and is looked at again
                last = connection.execute(_newest).first()
                if same is not None:
                    known = (_record(row) for row in connection.execute(_whole.where(mine)).all()[::-1])
                    if (found := next(filter(same, known), None)) is not None:
                        return found
                row = Record(
                    number=1 if last is None else last.number + 1,
                    kind=kind,
                    feature=feature,
                    digest=digest,
                    body=text,
                    personal=personal,
                    personal_digest=sha256(personal.encode()).hexdigest(),
                    at=at,
                    previous="" if last is None else last.record,
                )
                seal = row.seal
                row = msgspec.structs.replace(row, record=seal, signature=sign(seal) if sign else None)
                # PostgreSQL lets two writers read the same newest record: who comes second reads again.
                if connection.execute(insert.values(msgspec.structs.asdict(row))).first() is not None:
                    return row

    def list(self, feature: str | None = None) -> tuple[Record, ...]:
        """The records of a feature, or the whole chain, oldest first."""
        statement = _whole if feature is None else _whole.where(_table.feature == feature)
        with self._database.read() as connection:
            return tuple(_record(row) for row in connection.execute(statement))

    def newest(self) -> Record | None:
        """The head of the chain; None where there is none yet."""
        with self._database.read() as connection:
            row = connection.execute(_newest).first()
        return None if row is None else _record(row)

    def get(self, digest: str) -> Release:
        """The release with this digest, or the only one whose digest begins with it.

        Raises:
            UsageError: for none or several.
            StoreError: when the stored release is not what its digest says.
        """
        frozen = (_table.kind == "release") & _table.digest.startswith(digest, autoescape=True)
        with self._database.read() as connection:
            rows = connection.execute(_whole.where(frozen)).all()
        # the newest record of each: a commit may have been added since
        found = {row.digest: row for row in rows}
        if digest in found:
            return _release(_record(found[digest]))
        if not found:
            raise UsageError(
                f"there is no release {digest!r}",
                hint="Make one: shiftright release FEATURE --variant VARIANT",
            )
        if len(found) > 1:
            raise UsageError(
                f"several releases begin with {digest!r}", hint=f"Add letters: {', '.join(found)}"
            )
        return _release(_record(rows[-1]))

    def stable(self, feature: str) -> str | None:
        """The digest of the release that serves everybody: the one promoted last, or the control to which a newer
        rollback went; None where the contract's own code does."""
        return next(iter(self.served(feature)), None) or None

    def served(self, feature: str) -> tuple[str, ...]:
        """What has been stable, by digest, newest first; "" where the contract's own code was."""
        moved = (_table.feature == feature) & _table.kind.in_(("promote", "back"))
        with self._database.read() as connection:
            rows = connection.execute(_whole.where(moved)).all()
        return tuple(
            r.digest if r.kind == "promote" else r.content["control"] for r in map(_record, rows[::-1])
        )

    def erase_personal(self, name: str) -> int:
        """Erase who and why from the records that name this person, for good; the chain stays whole.

        Returns:
            How many records.
        """
        with self._database.write() as connection:
            rows = connection.execute(_whole.where(_table.personal.is_not(None))).all()
            found = [r.number for r in map(_record, rows) if r.by == name or (name and name in r.reason)]
            mine = _table.number.in_(found)
            connection.execute(sa.update(schema.releases).where(mine).values(personal=None))
        return len(found)


_newest = sa.select(schema.releases).order_by(_table.number.desc()).limit(1)


def _record(row: sa.Row[Any]) -> Record:
    return Record(**row._mapping)


def _release(record: Record) -> Release:
    try:
        release = msgspec.convert(record.content["release"], Release)
    except (msgspec.MsgspecError, KeyError) as error:
        raise _damaged(record, str(error)) from error
    if release.digest != record.digest:
        raise _damaged(record, "its content has another digest")
    return release


def _damaged(record: Record, why: str) -> StoreError:
    return StoreError(
        f"release {record.digest} (record {record.number}) cannot be used: {why}",
        hint="Something else changed the records. See where: shiftright verify",
    )
