"""Rollouts: taken back, promoted, given up; and whatever goes wrong in between."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ship.shipping_project import SPEC, Project, Told

from shiftright.core.rollout import assign, bucket, unit_id
from shiftright.core.score import Score
from shiftright.errors import StoreError, UsageError
from shiftright.ship import rollouts
from shiftright.ship.ticking import Ticker
from shiftright.store.rows import ExposureRow, OutcomeRow, ScoreRow


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.records.close()


def kinds(project: Project) -> list[str]:
    return [record.kind for record in project.records.releases.list()]


def with_ship(project: Project, ship: str) -> None:
    text = SPEC.split("ship:")[0] + f"ship: {{{ship}}}\n"
    (project.folder / "spec.yaml").write_text(text, encoding="utf-8")


@given(
    st.text(min_size=1),
    st.text(min_size=1, max_size=60),
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=6),
)
def test_a_unit_keeps_its_arm_and_never_goes_back_as_the_share_grows(
    unit: str, salt: str, shares: list[float]
) -> None:
    key = salt.encode("utf-8", "replace")[:60].decode("utf-8", "ignore")
    arms = [assign(key, unit, share) for share in sorted(shares)]
    assert arms == sorted(arms, key=lambda arm: arm == "canary")
    assert arms == [assign(key, unit, share) for share in sorted(shares)]
    assert 0.0 <= bucket(key, unit) < 1.0


def test_the_share_of_users_is_the_share() -> None:
    canaries = sum(assign("salt", f"user-{k}", 0.05) == "canary" for k in range(20_000))
    assert abs(canaries / 20_000 - 0.05) < 0.006
    both = sum(
        assign("a", f"u{k}", 0.5) == assign("b", f"u{k}", 0.5) for k in range(5_000)
    )  # salts are independent
    assert abs(both / 5_000 - 0.5) < 0.03


def test_a_bad_canary_is_taken_back_with_an_incident_and_reviews(project: Project) -> None:
    project.begin()
    ended = project.run(project.ticker(), canary=0.6, control=0.97)
    assert ended.state == "back"
    assert ended.reason.startswith("json is worse by more than 5 points: -")
    (incident,) = project.records.incidents.list()
    assert (incident.kind, incident.check, incident.rollout) == ("rollback", "json", ended.id)
    assert (incident.owner, incident.release) == ("support@example.com", ended.candidate)
    reviews = project.records.reviews.list(kind="violation").data
    assert len(reviews) == len(incident.subject["traces"]) > 0
    assert {review.trace_id for review in reviews} == set(incident.subject["traces"])
    assert project.records.releases.stable("triage") is None
    assert kinds(project) == ["release", "back"]
    assert not project.records.rollouts.unsettled()


def test_a_neutral_canary_climbs_the_steps_and_is_promoted(project: Project) -> None:
    with_ship(project, "steps: [10%, 50%, 100%], back_if_drop: 4 points, outcome_after: 60 s")
    begun = project.begin()
    assert (begun.state, begun.share) == ("canary", 0.1)
    ticker = project.ticker()
    seen = set()
    for _ in range(100):
        if project.rollout().state != "canary":
            break
        seen.add(project.rollout().share)
        project.serve(500, canary=0.95, control=0.95)
        project.told.pass_(120.0)
        ticker.tick()
    assert seen == {0.1, 0.5}
    assert project.rollout().state == "promoted"
    assert project.records.releases.stable("triage") == begun.candidate
    with pytest.raises(UsageError, match="serves every user"):
        project.begin()


def test_a_contract_without_steps_is_promoted_by_its_gate(project: Project) -> None:
    with_ship(project, "steps: [100%]")
    begun = project.begin()
    assert begun.state == "promoted"
    project.ticker().tick()
    assert project.records.releases.stable("triage") == begun.candidate


def test_one_rollout_of_a_feature_at_a_time(project: Project) -> None:
    project.begin()
    with pytest.raises(UsageError, match="is open already"):
        project.begin("old")


def test_a_unit_counts_once_with_its_first_arm(project: Project) -> None:
    rollout = project.begin()
    rows = [
        ExposureRow(
            rollout_id=rollout.id, trace_id=f"t{k}", unit="u", arm=arm, probability=p,
            at=project.told.wall_s, failed=failed,
        )
        for k, (arm, p, failed) in enumerate(
            [("control", 0.1, False), ("canary", 0.5, True), ("canary", 0.5, True)]
        )
    ]  # fmt: skip
    project.records.rollouts.expose(rows)
    ticker = project.ticker()
    ticker.tick()
    project.told.pass_(61.0)
    ticker.tick()
    project.records.rollouts.expose(rows[:1])
    project.told.pass_(61.0)
    ticker.tick()
    (only,) = project.records.rollouts.outcomes(rollout.id)
    assert (only.canary, only.probability, only.traces) == (False, 0.1, ("t0", "t1", "t2"))
    assert only.scores == {"json": 0.0}


def test_a_provider_that_is_down_counts_against_its_own_arm(project: Project) -> None:
    project.begin()
    ended = project.run(project.ticker(), canary=0.97, control=0.97, failing=0.8)
    assert ended.state == "back"
    assert "json is worse" in ended.reason


def test_a_check_whose_data_never_arrive_is_given_up_with_that_reason(project: Project) -> None:
    project.begin()
    ticker = project.ticker()
    project.serve(300, canary=1.0, control=1.0, scored=False)
    for _ in range(60):
        project.told.pass_(3_000.0)
        ticker.tick()
    ended = project.rollout()
    assert ended.state == "back"
    assert ended.reason == "nothing proven within 2 days: json was never measured in 300 units"
    assert not project.records.incidents.list()


def test_users_that_do_not_arrive_as_assigned_void_the_canary(project: Project) -> None:
    project.begin()
    ended = project.run(project.ticker(), canary=0.9, control=0.9, wrong_arms=True)
    assert ended.state == "back"
    assert ended.reason.startswith("users do not arrive in the arms as assigned")


@pytest.mark.parametrize(("worse", "state"), [(True, "back"), (False, "canary")])
def test_the_shadow_ends_it_on_harm_before_any_user_saw_it(project: Project, worse: bool, state: str) -> None:
    with_ship(project, "shadow: 60, steps: [10%, 100%], back_if_drop: 10 points, outcome_after: 60 s")
    rollout = project.begin()
    assert (rollout.state, rollout.share) == ("shadow", 0.0)
    rows, scores = [], []
    for k in range(60):
        for arm in ("control", "shadow"):
            failed = worse and arm == "shadow" and k % 2 == 0
            rows.append(
                ExposureRow(
                    rollout_id=rollout.id, trace_id=f"{arm}{k}", unit=f"control{k}", arm=arm,
                    probability=0.0, at=project.told.wall_s, failed=failed,
                )
            )  # fmt: skip
            score = Score("json", value=float(not failed))
            scores.append(
                ScoreRow(trace_id=f"{arm}{k}", feature="triage", score=score, created_at=0.0, author="shadow")
            )
    project.records.rollouts.expose(rows)
    project.records.scores.add(scores)
    ticker = project.ticker()
    ticker.tick()
    project.told.pass_(61.0)
    ticker.tick()
    ended = project.rollout()
    assert ended.state == state
    if worse:
        assert ended.reason == "json is worse in the shadow: -50 points over 60 pairs"
        (incident,) = project.records.incidents.list()
        assert incident.check == "json"
    else:
        assert ended.reason == "no harm in 60 shadow requests"


def test_a_clock_that_is_set_neither_ends_a_rollout_nor_holds_it_up(project: Project) -> None:
    project.begin()
    ticker = project.ticker()
    ticker.tick()
    project.told.set(30 * 86_400.0)
    ticker.tick()
    assert project.rollout().state == "canary"
    project.told.set(-60 * 86_400.0)
    ticker.close()
    other = project.ticker()
    other.tick()
    assert project.rollout().state == "canary"
    assert project.run(other, canary=0.5, control=0.97).state == "back"


def test_two_tickers_at_once_enter_each_unit_once(project: Project) -> None:
    rollout = project.begin()
    project.serve(600, canary=0.9, control=0.9)
    project.told.pass_(61.0)
    tickers = [project.ticker(), project.ticker()]
    threads = [threading.Thread(target=each.tick) for each in tickers for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = project.records.rollouts.outcomes(rollout.id)
    assert [row.position for row in log] == list(range(600))
    assert len({row.unit for row in log}) == 600


def test_a_second_writer_of_the_log_is_refused_as_a_whole(project: Project) -> None:
    rollout = project.begin()
    row = OutcomeRow(position=0, unit="u", canary=True, probability=0.5, scores={}, traces=())
    project.records.rollouts.follow(rollout.id, [row], {"a": 1})
    with pytest.raises(StoreError):
        project.records.rollouts.follow(rollout.id, [row], {"a": 2})
    assert project.records.rollouts.get(rollout.id).evidence == {"a": 1}


def test_who_takes_over_goes_on_from_the_log(project: Project) -> None:
    """Every tick by another process that knows nothing: the decision is the same as of one that ran through."""
    project.begin()
    for _ in range(30):
        if project.rollout().state != "canary":
            break
        project.serve(150, canary=0.6, control=0.97)
        project.told.pass_(120.0)
        ticker = project.ticker()
        ticker.tick()
        ticker.close()
    assert project.rollout().state == "back"
    assert len(project.records.incidents.list()) == 1


def test_the_store_away_for_a_while_costs_nothing_but_time(project: Project) -> None:
    rollout = project.begin()
    ticker = project.ticker()
    project.serve(200, canary=0.9, control=0.9)
    ticker.tick()
    project.told.pass_(61.0)
    path = project.folder / ".shiftright" / "records.db"
    hidden = sqlite3.connect(path)
    hidden.execute("ALTER TABLE outcomes RENAME TO away")
    hidden.commit()
    ticker.tick()
    assert ticker.failures
    hidden.execute("ALTER TABLE away RENAME TO outcomes")
    hidden.commit()
    hidden.close()
    # what waited is believed to have waited as long as the wall clock says, so it counts at once
    ticker.tick()
    assert not ticker.failures
    assert len(project.records.rollouts.outcomes(rollout.id)) == 200


def test_a_contract_edited_meanwhile_changes_the_next_rollout(project: Project) -> None:
    begun = project.begin()
    with_ship(project, "steps: [100%], back_if_drop: 90 points")
    ticker = project.ticker()
    ticker.tick()
    assert project.rollout().plan == begun.plan
    assert project.run(ticker, canary=0.6, control=0.97).state == "back"


def test_taken_back_twice_at_once_is_taken_back_once(project: Project) -> None:
    project.begin()
    done: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: done.append(rollouts.back("triage", project.records, by="Ada", reason="no")[1])
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False, False, False, True]
    for ticker in (project.ticker(), project.ticker()):
        ticker.tick()
    _, record = project.records.releases.list()
    assert (record.kind, record.by, record.reason) == ("back", "Ada", "no")
    assert len(project.records.incidents.list()) == 1
    assert project.rollout().state == "stopped"


def test_a_promoted_release_is_taken_back_to_what_served_before(project: Project) -> None:
    with_ship(project, "steps: [100%]")
    ticker = project.ticker()
    first = project.begin("old")
    ticker.tick()
    second = project.begin("new")
    assert second.control == first.candidate
    ticker.tick()
    assert project.records.releases.stable("triage") == second.candidate
    assert rollouts.back("triage", project.records, by="Ada")[1]
    ticker.tick()
    assert project.records.releases.stable("triage") == first.candidate


@pytest.mark.parametrize("cut", ["chain", "incident", "reviews", "settled"])
def test_an_end_that_was_cut_off_is_completed_once(project: Project, cut: str) -> None:
    """As a kill between two writes leaves it: what is done stays, what is missing is made, nothing is made twice."""
    project.begin()
    project.run(project.ticker(), canary=0.6, control=0.97)
    incident = project.records.incidents.list()[0]
    database = sqlite3.connect(project.folder / ".shiftright" / "records.db")
    database.execute("UPDATE rollouts SET settled = 0")
    for name in {"chain": ["releases", "incidents", "reviews"], "incident": ["incidents", "reviews"],
                 "reviews": ["reviews"], "settled": []}[cut]:  # fmt: skip
        database.execute(f"DELETE FROM {name}" + (" WHERE kind = 'back'" if name == "releases" else ""))
    database.commit()
    database.close()
    project.ticker().tick()
    assert not project.records.rollouts.unsettled()
    assert kinds(project) == ["release", "back"]
    (again,) = project.records.incidents.list()
    assert again.subject["traces"] == incident.subject["traces"]
    traces = [review.trace_id for review in project.records.reviews.list(kind="violation").data]
    assert sorted(traces) == sorted(incident.subject["traces"])


def test_a_ticker_of_its_own_clock_is_quick_on_many_units(project: Project) -> None:
    rollout = project.begin()
    told = Told()
    rows = [
        OutcomeRow(
            position=k, unit=unit_id("s", str(k)), canary=k % 10 == 0, probability=0.1,
            scores={"json": 0.95}, traces=(f"{k:032x}",),
        )
        for k in range(20_000)
    ]  # fmt: skip
    project.records.rollouts.follow(rollout.id, rows, {})
    began = time.perf_counter()
    Ticker(project.records, clock=told.clock).tick()
    assert time.perf_counter() - began < 5.0
