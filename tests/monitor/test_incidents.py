from __future__ import annotations

import json
import time

import pytest
from live_project import Live

from shiftright import spec as specs
from shiftright.core.incident import Incident
from shiftright.core.score import Score
from shiftright.errors import UsageError
from shiftright.improve import reviews
from shiftright.monitor import incidents
from shiftright.monitor.postmortem import draft
from shiftright.monitor.violations import open_violations
from shiftright.store.rows import ScoreRow


def broken(live: Live) -> Incident:
    """An incident of a scored check, with reviews of its traces."""
    live.telemetry.append(spans := [live.span(output=[1]) for _ in range(3)])
    live.records.scores.add(
        [
            ScoreRow(trace_id=s.trace_id, feature="triage", score=Score("json", 0.0), created_at=time.time())
            for s in spans
        ]
    )
    (incident,) = open_violations(specs.load(live.folder), live.records, live.telemetry)
    return incident


def test_an_incident_ends_with_the_case_that_came_of_it(live: Live) -> None:
    incident = broken(live)
    assert incidents.acknowledge(live.records, incident.id, "ann").status == "acknowledged"
    with pytest.raises(UsageError, match="acknowledged already, by ann"):
        incidents.acknowledge(live.records, incident.id, "bob")
    with pytest.raises(UsageError, match="`must` case that came of it"):
        incidents.close(live.records, live.settings, incident.id, "ann")
    with pytest.raises(UsageError, match="has no `must` case 'c9'"):
        incidents.close(live.records, live.settings, incident.id, "ann", case_id="c9")
    review = live.records.reviews.list(trace_id=incident.subject["traces"][0]).data[0]
    done = reviews.resolve(
        live.records, live.settings, review.id, "real", "ann", correction="refunds", consent="given"
    )
    assert done.case is not None
    case_id = done.case.case.id
    assert incidents.cases_of(live.records, incident) == (case_id,)
    closed = incidents.close(live.records, live.settings, incident.id, "ann", case_id=case_id)
    assert (closed.status, closed.case_id) == ("closed", case_id)
    assert [event.by for event in closed.timeline] == ["", "ann", "ann"]
    with pytest.raises(UsageError, match="closed already"):
        incidents.close(live.records, live.settings, incident.id, "bob", no_case="gone")
    for said in ("## Timeline", "acknowledged", "closed with case", incident.subject["traces"][0], review.id):
        assert said in closed.postmortem


def test_a_postmortem_says_what_changed_before_and_takes_no_markup_from_anybody(live: Live) -> None:
    live.records.releases.append(
        "promote", "triage", "d" * 64, {}, by="<img src=x>", reason="[click](http://evil)"
    )
    incident = live.records.incidents.open(
        "check",
        "triage",
        "right",
        "right: `below` <script>",
        {"reason": "# Heading\n@everyone", "traces": []},
    )
    text = draft(live.records, incident)
    assert "promoted to everybody `dddddddddddd`" in text
    assert "<script>" not in text
    assert "<img" not in text
    assert "[click](" not in text
    assert "\n# Heading" not in text


def test_one_incident_is_open_for_a_check_whatever_saw_it(live: Live) -> None:
    opened = live.records.incidents
    first = opened.open("check", "triage", "right", "below", {})
    assert opened.open("drift", "triage", "right", "falling", {}).id == first.id
    assert opened.open("check", "triage", "polite", "below", {}).id != first.id
    back = opened.open("rollback", "triage", "right", "worse", {}, rollout="o-1")
    assert back.id != first.id
    assert opened.open("rollback", "triage", "right", "worse", {}, rollout="o-1").id == back.id
    incidents.close(live.records, live.settings, first.id, "ann", no_case="noise")
    assert opened.open("check", "triage", "right", "below", {}).id != first.id
    every = [each.id for each in opened.list()]
    assert [each.id for each in opened.list(limit=2)] == every[:2]
    assert [each.id for each in opened.list(cursor=every[1])] == every[2:]


def test_forgotten_texts_leave_the_incident(live: Live) -> None:
    incident = broken(live)
    live.records.texts.forget_before(time.time() + 1)
    assert not live.records.reviews.list().data
    assert live.records.incidents.get(incident.id).subject["traces"]
    assert "parcel" not in json.dumps(live.records.incidents.get(incident.id).subject)
