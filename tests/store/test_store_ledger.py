from __future__ import annotations

import pytest
from store_rows import FULL, VERDICT, consumed, decision, run_case, stored

from shiftright.errors import StoreError
from shiftright.store import Records, open_records
from shiftright.store.rows import ConsumedRow


def test_attempts_at_a_decision(records: Records) -> None:
    first = decision(records.ledger.new_id(), parts={"clauses": "c0"}, frozen={"k": [0.1, None]}, seed=7)
    records.ledger.create(first)
    second = decision(records.ledger.new_id(), attempt=2)
    records.ledger.create(second)
    assert records.ledger.find("k") == [first, second]
    assert records.ledger.find("other") == []
    assert records.ledger.get(second.id) == second
    assert records.ledger.get("d-x") is None


def test_the_same_attempt_is_begun_once(records: Records) -> None:
    records.ledger.create(decision("d-1"))
    with pytest.raises(StoreError, match="another eval is running this decision"):
        records.ledger.create(decision("d-2"))
    assert [d.id for d in records.ledger.find("k")] == ["d-1"]


def test_related_decisions_newest_first(records: Records) -> None:
    for name, key in (("d-1", "k1"), ("d-2", "k2")):
        records.ledger.create(decision(name, key))
    assert [d.id for d in records.ledger.find_related("triage")] == ["d-2", "d-1"]
    related = records.ledger.find_related("triage", variant="retrieved", baseline="zero_shot")
    assert [d.id for d in related] == ["d-2", "d-1"]
    assert records.ledger.find_related("triage", variant="rules") == []
    assert records.ledger.find_related("triage", baseline="rules") == []


def test_consumed_cases_in_order(records: Records) -> None:
    records.ledger.create(decision())
    records.ledger.append([consumed(0), consumed(1)])
    records.ledger.append([])
    records.ledger.append([consumed(2)])
    assert records.ledger.consumed("d-1") == [consumed(n) for n in range(3)]


def test_a_taken_position_means_another_eval(records: Records) -> None:
    records.ledger.create(decision())
    records.ledger.append([consumed(0), consumed(1)])
    with pytest.raises(StoreError, match="another eval is running this decision") as error:
        records.ledger.append([consumed(1), consumed(2)])
    assert "run the command again" in str(error.value.hint)
    assert len(records.ledger.consumed("d-1")) == 2


@pytest.mark.parametrize("positions", [[3], [2, 4], [2, 2], [3, 2]])
def test_positions_leave_no_gap(records: Records, positions: list[int]) -> None:
    records.ledger.create(decision())
    records.ledger.append([consumed(0), consumed(1)])
    with pytest.raises(StoreError, match="position 2 comes next"):
        records.ledger.append([consumed(p) for p in positions])
    assert len(records.ledger.consumed("d-1")) == 2


def test_a_decision_is_made_once_and_for_all(records: Records) -> None:
    records.ledger.create(decision())
    records.ledger.update_frozen("d-1", {"cap": 400})
    records.ledger.decide("d-1", VERDICT)
    (found,) = records.ledger.find("k")
    assert (found.decided, found.verdict, found.frozen) == (True, VERDICT, {"cap": 400})
    assert found.updated_at > found.created_at
    for change in (
        lambda: records.ledger.decide("d-1", VERDICT),
        lambda: records.ledger.update_frozen("d-1", {}),
        lambda: records.ledger.append([consumed(0)]),
    ):
        with pytest.raises(StoreError, match="has been made already") as error:
            change()
        assert "--new-decision" in str(error.value.hint)


def test_an_unknown_decision(records: Records) -> None:
    with pytest.raises(StoreError, match="no decision d-9"):
        records.ledger.append([consumed(0, "d-9")])
    with pytest.raises(StoreError, match="no decision d-9"):
        records.ledger.decide("d-9", VERDICT)


def test_a_score_that_is_no_number_is_refused(records: Records) -> None:
    records.ledger.create(decision())
    with pytest.raises(StoreError, match="nan cannot be stored"):
        records.ledger.append([ConsumedRow("d-1", 0, "c", "d", {"right": (float("nan"),)})])


def test_a_flush_is_kept_whole_or_not_at_all(records: Records, url: str) -> None:
    records.ledger.create(decision())
    a = stored()
    records.write(answers=[a], cases=[run_case(0)], consumed=[consumed(0)])
    with pytest.raises(StoreError, match="another eval"):
        records.write(answers=[stored("i1")], cases=[run_case(1)], consumed=[consumed(0)])
    with pytest.raises(StoreError):
        records.write(answers=[stored("i1")], cases=[run_case(0)], consumed=[consumed(1)])
    records.write()
    with open_records(url) as reader:
        assert reader.answers.by_ids([a.id])[a.id].answer == FULL
        assert list(reader.answers.get("v0")) == [("i0", 0)]
        assert list(reader.runs.cases("r-1")) == [run_case(0)]
        assert reader.ledger.consumed("d-1") == [consumed(0)]
