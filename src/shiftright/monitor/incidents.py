"""What people do about an incident: they look after it, and close it with the case that keeps it from coming back."""

from __future__ import annotations

from typing import Any

from shiftright import datasets
from shiftright import spec as specs
from shiftright.core.incident import Incident
from shiftright.errors import UsageError
from shiftright.monitor.postmortem import draft
from shiftright.settings import Settings
from shiftright.store import Records


def acknowledge(records: Records, incident_id: str, by: str) -> Incident:
    """
    Raises:
        UsageError: there is no such incident, or somebody looks after it already.
    """
    return records.incidents.acknowledge(incident_id, by)


def close(
    records: Records, settings: Settings, incident_id: str, by: str, *, case_id: str = "", no_case: str = ""
) -> Incident:
    """Close it, with a postmortem drafted from the records.

    Args:
        case_id: the ``must`` case that came of it.
        no_case: why there is none.

    Raises:
        UsageError: neither or both are given, the feature has no such ``must`` case, or it is closed already.
        Error: the contract or its cases cannot be read.
    """
    incident = records.incidents.get(incident_id)
    if bool(case_id) == bool(no_case.strip()):
        raise UsageError(
            "an incident is closed with the `must` case that came of it, or with why there is none",
            hint="--case ID, or --no-case REASON. A case is made of a review: shiftright review"
            + "".join(
                f"\n  Made of this incident's traces: --case {each}" for each in cases_of(records, incident)
            ),
        )
    if case_id:
        _known(settings, incident.feature, case_id)
    what = f"closed with case {case_id}" if case_id else f"closed without a case: {no_case.strip()}"
    postmortem = draft(records, incident, by=by, what=what)
    return records.incidents.close(incident.id, by, what, case_id=case_id, postmortem=postmortem)


def cases_of(records: Records, incident: Incident) -> tuple[str, ...]:
    """Ids of the cases that reviews of its traces gave."""
    found = [
        str(case)
        for trace_id in incident.subject.get("traces", ())
        for review in records.reviews.list("resolved", trace_id=str(trace_id)).data
        if (case := (review.resolution or {}).get("case"))
    ]
    return tuple(dict.fromkeys(found))


def described(records: Records, incident: Incident) -> dict[str, Any]:
    """All there is to know of it: for pages, for commands and programs."""
    told = records.notifications.of(incident.id)
    return {
        "incident": incident,
        "cases": cases_of(records, incident),
        "told": [
            {
                "channel": row.channel,
                "event": row.event,
                "status": row.status,
                "attempts": row.attempts,
                "error": row.error,
                "sent_at": row.sent_at,
            }
            for row in told
            if row.channel
        ],
    }


def _known(settings: Settings, feature: str, case_id: str) -> None:
    spec = specs.load(specs.named(feature, settings.root))
    file = spec.cases.get("must")
    if file is None or all(case.id != case_id for case in datasets.load(file)):
        raise UsageError(
            f"{feature} has no `must` case {case_id!r}" + ("" if file is None else f" in {file.name}"),
            hint="Make it of a review, with what would have been right: shiftright review",
        )
