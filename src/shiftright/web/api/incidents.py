"""``/api/incidents``: breaches of contracts on live traffic, listed, acknowledged and closed."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Response

from shiftright.core.incident import Incident, IncidentStatus
from shiftright.errors import UsageError
from shiftright.monitor import incidents
from shiftright.web.api.described import answer, answers, content_of
from shiftright.web.api.feedback import Body
from shiftright.web.api.traces import Cursor, Limit, Text
from shiftright.web.problems import NotFound
from shiftright.web.site import Site

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Words = Annotated[str, msgspec.Meta(max_length=2_000)]


class Incidents(msgspec.Struct):
    """Newest first."""

    data: list[Incident]
    next_cursor: str | None


class Told(msgspec.Struct):
    """Whether a channel was told."""

    channel: str
    event: str
    status: str
    attempts: int
    error: str
    sent_at: float | None


class Described(msgspec.Struct):
    """``cases``: made of reviews of its traces."""

    incident: Incident
    cases: list[str]
    told: list[Told]


class Acknowledged(msgspec.Struct, forbid_unknown_fields=True):
    by: _Name


class Closing(msgspec.Struct, forbid_unknown_fields=True):
    """``case`` is the ``must`` case that came of it; ``no_case`` says why there is none."""

    by: _Name
    case: Annotated[str, msgspec.Meta(max_length=200)] = ""
    no_case: _Words = ""


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/incidents", tags=["incidents"])

    @router.get("", responses=answers(Incidents), response_class=Response)
    def list_incidents(
        status: IncidentStatus | None = None, feature: Text = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Response:
        """The newest first."""
        rows = site.records.incidents.list(
            feature=feature or None, status=status, limit=limit + 1, cursor=cursor or None
        )
        more = rows[limit - 1].id if len(rows) > limit else None
        return answer(Incidents(list(rows[:limit]), more))

    @router.get("/{incident_id}", responses=answers(Described, 404), response_class=Response)
    def get_incident(incident_id: str) -> Response:
        """One incident."""
        return answer(_described(site, _incident(site, incident_id)))

    @router.post(
        "/{incident_id}/ack",
        responses=answers(Described, 404, 413),
        response_class=Response,
        openapi_extra={"requestBody": {"required": True, "content": content_of(Acknowledged)}},
    )
    def acknowledge(incident_id: str, sent: Body) -> Response:
        """Somebody looks after it."""
        said = _read(sent, Acknowledged)
        found = _incident(site, incident_id)
        return answer(_described(site, incidents.acknowledge(site.records, found.id, said.by)))

    @router.post(
        "/{incident_id}/close",
        responses=answers(Described, 404, 413),
        response_class=Response,
        openapi_extra={"requestBody": {"required": True, "content": content_of(Closing)}},
    )
    def close(incident_id: str, sent: Body) -> Response:
        """It is over, and this came of it."""
        said = _read(sent, Closing)
        found = _incident(site, incident_id)
        closed = incidents.close(
            site.records, site.settings, found.id, said.by, case_id=said.case, no_case=said.no_case
        )
        return answer(_described(site, closed))

    return router


def _incident(site: Site, incident_id: str) -> Incident:
    try:
        return site.records.incidents.get(incident_id)
    except UsageError as error:
        raise NotFound(error.message, hint=error.hint) from error


def _described(site: Site, incident: Incident) -> Described:
    return msgspec.convert(incidents.described(site.records, incident), Described, from_attributes=True)


def _read(sent: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(sent, type=shape)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as cause:
        raise UsageError(f"the body cannot be read: {cause}", hint='Send {"by": "NAME", …}.') from None
