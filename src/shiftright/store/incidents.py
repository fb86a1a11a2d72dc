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
from shiftright.store.notifications import announce

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
        """A new incident, and word of it in the outbox; where the check has one that is not closed, or the rollout has
        had one, that one: what is seen twice is told once."""
        same = (_table.feature == feature) & (_table.check == check) & (_table.rollout == rollout)
        if not rollout:
            same &= _table.status != "closed"
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
            announce(connection, incident.id, "opened")
        return incident

    def acknowledge(self, incident_id: str, by: str) -> Incident:
        """Somebody looks after it.

        Raises:
            UsageError: somebody does already, or it is closed.
        """
        now = time.time()
        return self._move(
            incident_id, ("open",), {"status": "acknowledged", "acknowledged_at": now}, "acknowledged", by
        )

    def close(self, incident_id: str, by: str, what: str, *, case_id: str, postmortem: str) -> Incident:
        """It is over; ``what`` says what came of it.

        Raises:
            UsageError: it is closed already.
        """
        values = {"status": "closed", "closed_at": time.time(), "case_id": case_id, "postmortem": postmortem}
        return self._move(incident_id, ("open", "acknowledged"), values, what, by)

    def _move(
        self, incident_id: str, before: tuple[str, ...], values: dict[str, Any], what: str, by: str
    ) -> Incident:
        incident = self.get(incident_id)
        mine = (_table.id == incident.id) & _table.status.in_(before)
        with self._database.write() as connection:
            done = connection.execute(sa.update(schema.incidents).where(mine).values(values)).rowcount
            row = connection.execute(_whole.where(_table.id == incident.id)).one()
            if done:
                timeline = (*_decode_timeline(row.timeline), Event(time.time(), what, by))
                at = sa.update(schema.incidents).where(_table.id == incident.id)
                connection.execute(at.values(timeline=encode(timeline)))
                if values["status"] == "closed":
                    announce(connection, incident.id, "closed")
        now = self.get(incident.id)
        if not done:
            last = now.timeline[-1]
            raise UsageError(
                f"incident {now.id} is {now.status} already" + (f", by {last.by}" if last.by else ""),
                hint=f"See it: shiftright incident {now.id}",
            )
        return now

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
        raise UsageError(f"there is no incident {incident_id!r}", hint="List them: shiftright incidents")

    def list(
        self,
        *,
        feature: str | None = None,
        status: IncidentStatus | None = None,
        check: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> tuple[Incident, ...]:
        """Newest first, those older than the incident ``cursor``; ``status`` None is every one."""
        statement = _whole.order_by(_table.id.desc()).limit(limit)
        for name, wanted in (("feature", feature), ("status", status), ("check", check)):
            if wanted is not None:
                statement = statement.where(_table[name] == wanted)
        if cursor is not None:
            statement = statement.where(_table.id < cursor)
        with self._database.read() as connection:
            return tuple(_from_row(row) for row in connection.execute(statement))


def _from_row(row: sa.Row[Any]) -> Incident:
    fields = dict(row._mapping)
    fields["subject"] = decode_object(row.subject)
    fields["timeline"] = _decode_timeline(row.timeline)
    return Incident(**fields)
