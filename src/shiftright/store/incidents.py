"""Incidents: breaches of a contract on live traffic, from the day they are seen."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import sqlalchemy as sa

from shiftright.core.incident import Event, Incident, IncidentKind, IncidentStatus
from shiftright.errors import UsageError
from shiftright.store import schema
from shiftright.store.codec import decode_object, encode
from shiftright.store.database import Database
from shiftright.store.ids import sortable_id

_table = schema.incidents.c
_whole = sa.select(schema.incidents)
_decode_timeline = msgspec.json.Decoder(tuple[Event, ...]).decode


class Incidents:
    """Incidents, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self,
        kind: IncidentKind,
        feature: str,
        check: str,
        title: str,
        subject: dict[str, Any],
        *,
        release: str = "",
        rollout: str = "",
        owner: str = "",
    ) -> Incident:
        """A new incident; where there is one of this kind, check and rollout that is not closed, or the rollout has had
        one, that one: what is seen twice is told once."""
        same = (_table.kind == kind) & (_table.feature == feature) & (_table.check == check)
        same &= (_table.rollout == rollout) if rollout else (_table.status != "closed")
        with self._database.write() as connection:
            found = connection.execute(_whole.where(same).order_by(_table.id.desc()).limit(1)).first()
            if found is not None:
                return _from_row(found)
            newest = connection.execute(sa.select(sa.func.max(_table.id))).scalar()
            now = time.time()
            incident = Incident(
                id=sortable_id("i", newest),
                feature=feature,
                kind=kind,
                check=check,
                title=title,
                subject=subject,
                release=release,
                rollout=rollout,
                owner=owner,
                status="open",
                opened_at=now,
                timeline=(Event(now, title),),
            )
            values = msgspec.structs.asdict(incident)
            values |= {"subject": encode(subject), "timeline": encode(incident.timeline)}
            connection.execute(sa.insert(schema.incidents).values(values))
        return incident

    def get(self, incident_id: str) -> Incident:
        """The incident with this id, or the only one whose id begins with it.

        Raises:
            UsageError: for none or several.
        """
        prefix = _table.id.startswith(incident_id, autoescape=True)
        with self._database.read() as connection:
            rows = connection.execute(_whole.where(prefix).order_by(_table.id).limit(6)).all()
        if len(rows) == 1 or (rows and rows[0].id == incident_id):
            return _from_row(rows[0])
        if rows:
            ids = ", ".join(row.id for row in rows)
            raise UsageError(f"several incidents begin with {incident_id!r}", hint=f"Add letters: {ids}")
        raise UsageError(f"there is no incident {incident_id!r}", hint="List them: shiftright incident")

    def list(
        self, *, feature: str | None = None, status: IncidentStatus | None = None, limit: int = 50
    ) -> tuple[Incident, ...]:
        """Newest first; ``status`` None is every one."""
        statement = _whole.order_by(_table.id.desc()).limit(limit)
        if feature is not None:
            statement = statement.where(_table.feature == feature)
        if status is not None:
            statement = statement.where(_table.status == status)
        with self._database.read() as connection:
            return tuple(_from_row(row) for row in connection.execute(statement))


def _from_row(row: sa.Row[Any]) -> Incident:
    fields = dict(row._mapping)
    fields["subject"] = decode_object(row.subject)
    fields["timeline"] = _decode_timeline(row.timeline)
    return Incident(**fields)
