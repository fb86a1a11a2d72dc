"""Incidents, what is to be told of them, and detectors, on both backends."""

from __future__ import annotations

import pytest

from shiftright.errors import UsageError
from shiftright.store import Records


def test_an_incident_and_word_of_it_are_one_write(records: Records) -> None:
    first = records.incidents.open("check", "triage", "right", "below", {"traces": ["a"]})
    assert records.incidents.open("check", "triage", "right", "below again", {}).id == first.id
    (row,) = records.notifications.of(first.id)
    assert (row.event, row.channel, row.status, row.attempts) == ("opened", "", "waiting", 0)
    assert records.incidents.acknowledge(first.id[:8], "ann").status == "acknowledged"
    closed = records.incidents.close(first.id, "ann", "closed with case c1", case_id="c1", postmortem="# x")
    assert [event.what for event in closed.timeline] == ["below", "acknowledged", "closed with case c1"]
    assert [row.event for row in records.notifications.of(first.id)] == ["opened", "closed"]
    with pytest.raises(UsageError, match="closed already, by ann"):
        records.incidents.close(first.id, "bob", "again", case_id="", postmortem="")
    assert len(records.notifications.of(first.id)) == 2


def test_one_notification_a_channel_under_a_lasting_id(records: Records) -> None:
    incident = records.incidents.open("check", "triage", "right", "below", {})
    (row,) = records.notifications.due()
    records.notifications.address(row, ("ops", "mail"))
    records.notifications.address(row, ("ops", "mail"))
    ops, mail = sorted(records.notifications.due(), key=lambda each: -len(each.id))[::-1]
    assert {ops.id, mail.id} == {f"{row.id}.ops", f"{row.id}.mail"}
    records.notifications.sent(ops)
    records.notifications.failed(mail, "down", again_in_s=60.0)
    assert records.notifications.due() == ()
    assert {each.status for each in records.notifications.of(incident.id)} == {"sent", "waiting"}
    other = records.incidents.open("check", "triage", "polite", "below", {})
    assert records.notifications.of(other.id)[0].id > row.id


def test_a_detector_goes_on_from_what_was_read_and_from_nothing_else(records: Records) -> None:
    assert records.detectors.get("triage", "right") is None
    assert records.detectors.put("triage", "right", None, "10", {"n": 1})
    before = records.detectors.get("triage", "right")
    assert not records.detectors.put("triage", "right", None, "10", {"n": 1})
    assert records.detectors.put("triage", "right", before, "20", {"n": 2})
    assert not records.detectors.put("triage", "right", before, "20", {"n": 2}), "another process was first"
    now = records.detectors.get("triage", "right")
    assert now is not None
    assert (now.seen, now.state) == ("20", {"n": 2})


def test_escalations_have_each_its_own_asker(records: Records) -> None:
    asked = [
        records.reviews.open("escalation", {"input": i}, feature="triage", trace_id="a" * 32, due_at=1.0)
        for i in range(2)
    ]
    assert asked[0].id != asked[1].id
    assert {row.id for row in records.reviews.tell_overdue()} == {row.id for row in asked}
    assert records.reviews.tell_overdue() == ()
    assert [row.event for row in records.notifications.of(asked[0].id)] == ["escalated", "overdue"]
