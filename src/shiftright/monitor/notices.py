"""What people are told of an incident, or of an answer that somebody waits for."""

from __future__ import annotations

import time

from shiftright.core.counting import counted
from shiftright.core.incident import Incident, Notice
from shiftright.store import Records
from shiftright.store.notifications import Notification

_SHOWN_TRACES = 3


def notice(records: Records, row: Notification) -> Notice:
    """The notice of a notification, as things stand now."""
    if row.event in ("escalated", "overdue"):
        return _escalation(records, row)
    incident = records.incidents.get(row.about)
    title = f"{incident.feature}: {incident.title}"
    return Notice(
        id=row.id,
        event=row.event,
        feature=incident.feature,
        about=incident.id,
        title=f"closed: {title}" if row.event == "closed" else title,
        lines=tuple(_lines(incident)),
        see=f"shiftright incident {incident.id}",
        at=row.created_at,
        incident=incident,
    )


def group_of(records: Records, row: Notification) -> str:
    """Whom an escalation asks for; "" of an incident."""
    if row.event not in ("escalated", "overdue"):
        return ""
    return str(records.reviews.get(row.about).subject.get("group", ""))


def _lines(incident: Incident) -> list[str]:
    lines = [f"{incident.kind} incident {incident.id}, {incident.status}"]
    if incident.check:
        lines.append(f"check: {incident.check}")
    if incident.release:
        lines.append(f"release: {incident.release[:12]}")
    if incident.owner:
        lines.append(f"owner: {incident.owner}")
    lines.append(f"opened: {_moment(incident.opened_at)}")
    traces = [str(each) for each in incident.subject.get("traces", ())]
    if traces:
        lines.append(f"{counted(len(traces), 'trace')}: {', '.join(traces[:_SHOWN_TRACES])}")
    changed = incident.subject.get("changed")
    if isinstance(changed, str) and changed:
        lines.append(changed)
    return lines


def _escalation(records: Records, row: Notification) -> Notice:
    """The input stays in the inbox: a channel may be read by more people than may read it."""
    review = records.reviews.get(row.about)
    group = str(review.subject.get("group", ""))
    due = "" if review.due_at is None else f"the answer is awaited until {_moment(review.due_at)}"
    said = "an answer is overdue" if row.event == "overdue" else "a person is asked for an answer"
    return Notice(
        id=row.id,
        event=row.event,
        feature=review.feature,
        about=review.id,
        title=f"{review.feature}: {said}",
        lines=tuple(line for line in (f"asked: {group}" if group else "", due) if line),
        see=f"shiftright review show {review.id}",
        at=row.created_at,
    )


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
