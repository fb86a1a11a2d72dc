from __future__ import annotations

import threading

import msgspec
import pytest

from shiftright.core.rollout import Guarded, Plan, Rollout
from shiftright.core.score import Score
from shiftright.errors import Error, StoreError, UsageError
from shiftright.store import Records
from shiftright.store.rows import ExposureRow, FeedbackRow, OutcomeRow, ScoreRow

PLAN = Plan(
    (0.1, 1.0), 10.0, "user", 1.0, (Guarded("json", 0.05, 0.1, "regex", low=0.0),), owner="a@example.com"
)
NEW = Rollout(
    id="", feature="triage", candidate="c", control="", salt="s", plan=PLAN, state="canary", step=0,
    started_at=1.0, step_at=1.0,
)  # fmt: skip


def exposed(records: Records, rollout: Rollout, number: int, **more: object) -> None:
    fields = {"arm": "canary", "probability": 0.1, "at": 2.0} | more
    row = ExposureRow(rollout_id=rollout.id, trace_id=f"t{number}", unit=f"u{number}", **fields)  # type: ignore[arg-type]
    records.rollouts.expose([row])


def outcome(position: int, unit: str = "") -> OutcomeRow:
    scores = {"json": 0.5, "helpful": None}
    return OutcomeRow(
        position=position,
        unit=unit or f"u{position}",
        canary=True,
        probability=0.1,
        scores=scores,
        traces=("t",),
    )


def test_what_is_stored_is_what_was_begun(records: Records) -> None:
    made = records.rollouts.add(NEW)
    assert msgspec.structs.replace(made, id="") == NEW
    row = records.rollouts.get(made.id[:6])
    assert (row.rollout, row.evidence, row.settled) == (made, {}, False)
    assert records.rollouts.unsettled() == records.rollouts.list("triage") == (row,)
    with pytest.raises(UsageError, match="there is no rollout"):
        records.rollouts.get("o-none")


def test_many_that_begin_at_once_are_one(records: Records) -> None:
    refused: list[Error] = []

    def begin() -> None:
        try:
            records.rollouts.add(NEW)
        except (UsageError, StoreError) as error:
            refused.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records.rollouts.list("triage")) == 1
    assert len(refused) == 3
    records.rollouts.add(msgspec.structs.replace(NEW, feature="another"))


def test_a_change_needs_the_state_it_was_made_for(records: Records) -> None:
    before = records.rollouts.add(NEW)
    back = msgspec.structs.replace(before, state="back", ended_at=3.0, reason="worse")
    assert records.rollouts.change(before, back)
    assert not records.rollouts.change(before, msgspec.structs.replace(before, state="promoted"))
    assert records.rollouts.get(before.id).rollout == back
    records.rollouts.settle(before)  # of a state that it left: nothing is settled
    assert records.rollouts.unsettled()
    records.rollouts.settle(back)
    assert not records.rollouts.unsettled()
    records.rollouts.add(NEW)


def test_who_ended_it_can_be_forgotten(records: Records) -> None:
    before = records.rollouts.add(NEW)
    stopped = msgspec.structs.replace(before, state="stopped", ended_at=3.0, reason="Ada says no", by="Ada")
    records.rollouts.change(before, stopped)
    assert records.rollouts.erase_personal("Ada") == 1
    assert records.rollouts.get(before.id).rollout == msgspec.structs.replace(stopped, by="", reason="")
    assert records.rollouts.erase_personal("Ada") == 0


def test_requests_are_read_in_the_order_of_storing(records: Records) -> None:
    rollout = records.rollouts.add(NEW)
    for number in range(5):
        exposed(records, rollout, number, failed=number == 3, latency_s=0.5, cost_usd=None)
    records.rollouts.expose([])
    rows = records.rollouts.exposures(rollout.id, limit=3)
    rest = records.rollouts.exposures(rollout.id, after=rows[-1].number)
    assert [row.trace_id for row in (*rows, *rest)] == ["t0", "t1", "t2", "t3", "t4"]
    assert [row.failed for row in rest] == [True, False]
    assert not records.rollouts.exposures("another")


def test_the_log_takes_each_place_and_each_unit_once(records: Records) -> None:
    rollout = records.rollouts.add(NEW)
    records.rollouts.follow(rollout.id, [outcome(0), outcome(1)], {"elapsed_s": 1.5})
    for wrong in (outcome(1, "new"), outcome(2, "u0")):
        with pytest.raises(StoreError):
            records.rollouts.follow(rollout.id, [wrong], {"elapsed_s": 9.0})
    assert records.rollouts.outcomes(rollout.id) == (outcome(0), outcome(1))
    assert records.rollouts.outcomes(rollout.id, since=1) == (outcome(1),)
    assert records.rollouts.get(rollout.id).evidence == {"elapsed_s": 1.5}
    assert records.rollouts.entered(rollout.id, ["u0", "u7"]) == {"u0"}
    assert not records.rollouts.entered(rollout.id, [])


def test_one_process_at_a_time_follows(records: Records) -> None:
    assert records.rollouts.take_lease("o-1", "a/1/1", 30.0)
    assert not records.rollouts.take_lease("o-1", "b/2/1", 30.0)
    assert records.rollouts.take_lease("o-2", "b/2/1", 30.0)
    records.rollouts.release_lease("o-1", "a/1/1")
    assert records.rollouts.take_lease("o-1", "b/2/1", 30.0)


def test_an_incident_of_a_rollout_is_told_once(records: Records) -> None:
    first = records.incidents.open("rollback", "triage", "json", "worse", {"traces": ["t"]}, rollout="o-1")
    assert records.incidents.open("rollback", "triage", "json", "again", {}, rollout="o-1") == first
    other = records.incidents.open("rollback", "triage", "json", "worse", {}, rollout="o-2")
    assert records.incidents.list(feature="triage", status="open") == (other, first)
    assert records.incidents.get(first.id) == first
    with pytest.raises(UsageError, match="there is no incident"):
        records.incidents.get("i-none")


def test_scores_and_feedback_of_many_traces_are_read_at_once(records: Records) -> None:
    for trace in ("t1", "t2", "t3"):
        score = Score("json", value=1.0)
        records.scores.add([ScoreRow(trace_id=trace, feature="f", score=score, created_at=1.0)])
        records.feedback.add(FeedbackRow(trace_id=trace, name="thumbs", created_at=1.0, value=1.0))
    for read in (records.scores.of_traces, records.feedback.of_traces):
        assert [row.trace_id for row in read(["t1", "t3", "none"])] == ["t1", "t3"]  # type: ignore[operator]
        assert read([]) == ()  # type: ignore[operator]
