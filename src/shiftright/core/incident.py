"""An Incident: a breach of the contract on live traffic, from the moment it is seen until it cannot happen again."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

IncidentKind = Literal["check", "rollback", "drift"]
IncidentStatus = Literal["open", "acknowledged", "closed"]
NoticeEvent = Literal["opened", "closed", "escalated", "overdue"]


class Event(msgspec.Struct, frozen=True):
    """One line of an incident's timeline; ``by`` is a person, "" where it was shiftright itself."""

    at: float
    what: str
    by: str = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """``check`` is what was broken, ``title`` says it in a line. ``subject`` holds the evidence as it was: rows, trace
    ids, what changed before it. ``release`` is the digest that served, ``rollout`` its rollout's id ("" for none).
    ``case_id`` is the ``must`` case that came of it."""

    id: str
    feature: str
    kind: IncidentKind
    check: str
    title: str
    subject: dict[str, Any]
    release: str
    rollout: str
    owner: str
    status: IncidentStatus
    opened_at: float
    acknowledged_at: float | None = None
    closed_at: float | None = None
    postmortem: str = ""
    case_id: str = ""
    timeline: tuple[Event, ...] = ()


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What people are told: of an incident (``opened``, ``closed``), or of an answer that somebody waits for
    (``escalated``, ``overdue``; ``about`` is the review, ``incident`` None).

    ``id`` is the same however often it is sent. ``see`` is the command that shows more.
    """

    id: str
    event: NoticeEvent
    feature: str
    about: str
    title: str
    lines: tuple[str, ...]
    see: str
    at: float
    incident: Incident | None = None
