"""Rollouts: taken back, promoted, given up; and whatever goes wrong in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ship.shipping_project import SPEC, Project

from shiftright.errors import UsageError
from shiftright.ship import rollouts


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.records.close()


def test_a_bad_canary_is_taken_back_with_an_incident_and_reviews(project: Project) -> None:
    rollouts.begin(project.spec, "candidate", project.records)
    ended = project.run(project.ticker(), canary=0.6, control=0.97)
    assert ended.state == "back"
    assert ended.reason.startswith("json is worse by more than 5 points: -")
    (incident,) = project.records.incidents.list()
    assert (incident.kind, incident.check, incident.rollout) == ("rollback", "json", ended.id)
    assert (incident.owner, incident.release) == ("support@example.com", "candidate")
    reviews = project.records.reviews.list(kind="violation").data
    assert len(reviews) == len(incident.subject["traces"]) == 10
    assert {review.trace_id for review in reviews} == set(incident.subject["traces"])
    assert project.records.releases.stable("triage") is None
    assert [record.kind for record in project.records.releases.list()] == ["back"]
    assert not project.records.rollouts.unsettled()


def test_a_neutral_canary_climbs_the_steps_and_is_promoted(project: Project) -> None:
    begun = rollouts.begin(project.spec, "candidate", project.records)
    assert (begun.state, begun.share) == ("canary", 0.1)
    ticker = project.ticker()
    project.serve(1500, canary=0.95, control=0.95)
    project.told.pass_(61.0)
    ticker.tick()
    assert project.rollout().share in (0.1, 0.5)
    ended = project.run(ticker, canary=0.95, control=0.95)
    assert ended.state == "promoted"
    assert project.records.releases.stable("triage") == "candidate"
    with pytest.raises(UsageError, match="serves every user"):
        rollouts.begin(project.spec, "candidate", project.records)
