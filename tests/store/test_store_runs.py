from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from store_rows import NOW, VERDICT, run, run_case

from shiftright.core.verdict import Verdict
from shiftright.errors import StoreError, UsageError
from shiftright.store import Records
from shiftright.store.ids import sortable_id
from shiftright.store.leases import new_holder


def test_a_run_from_start_to_finish(records: Records) -> None:
    started = run(records.runs.new_id(), options={"max_calls": 400}, seed=2**62, decision_id="d-1")
    records.ledger.acquire("d-1", new_holder(), 30.0)
    records.runs.start(started)
    assert records.runs.get(started.id) == started
    records.runs.finish(
        started.id, status="done", ended_at=NOW + 9, verdict=VERDICT, made=120, cached=7, cost_usd=None
    )
    found = records.runs.get(started.id)
    assert (found.status, found.verdict, found.made, found.cached) == ("done", VERDICT, 120, 7)
    assert (found.cost_usd, found.ended_at, found.options) == (None, NOW + 9, {"max_calls": 400})


def test_a_run_is_found_by_the_beginning_of_its_id(records: Records) -> None:
    for name in ("r-1abc", "r-1abd", "r-1a", "r_x"):
        records.runs.start(run(name))
    assert records.runs.get("r-1abc").id == "r-1abc"
    assert records.runs.get("r-1a").id == "r-1a"
    assert records.runs.get("r_").id == "r_x"
    with pytest.raises(UsageError, match="several runs begin with 'r-1ab'") as several:
        records.runs.get("r-1ab")
    assert "r-1abc, r-1abd" in str(several.value.hint)
    with pytest.raises(UsageError, match="there is no run 'r-1abe'") as none:
        records.runs.get("r-1abe")
    assert "r-1abd" in str(none.value.hint)
    with pytest.raises(UsageError, match="there is no run '%'"):
        records.runs.get("%")


def test_no_runs_yet(records: Records) -> None:
    assert records.runs.list() == []
    with pytest.raises(UsageError) as error:
        records.runs.get("r-1")
    assert "no runs yet" in str(error.value.hint)


def test_newest_first_even_when_the_clock_goes_back(records: Records) -> None:
    first = sortable_id("r", after="r-1zzzzzzzz0000")  # a clock far ahead wrote this
    records.runs.start(run(first))
    ids = [first]
    for feature in ("triage", "triage", "other"):
        ids.append(records.runs.new_id())
        records.runs.start(run(ids[-1], feature))
    assert sorted(ids) == ids
    assert [r.id for r in records.runs.list(limit=2)] == ids[:1:-1]
    assert [r.id for r in records.runs.list("triage")] == ids[2::-1]


def test_finishing_an_unknown_run_is_an_error(records: Records) -> None:
    with pytest.raises(StoreError, match="r-9"):
        records.runs.finish("r-9", status="done", ended_at=NOW)


def test_a_verdict_with_nan_is_refused(records: Records) -> None:
    row = VERDICT.checks[0]
    bad = Verdict("pass", "yes", (type(row)(*[float("nan") if v == 3.2 else v for v in _values(row)]),))
    records.runs.start(run("r-1"))
    with pytest.raises(StoreError, match="nan cannot be stored"):
        records.runs.finish("r-1", status="done", ended_at=NOW, verdict=bad)
    assert records.runs.get("r-1").status == "running"


def test_cases_come_back_in_order_page_after_page(records: Records) -> None:
    cases = [run_case(n) for n in range(2_100)]
    records.runs.add_cases(cases[::-1])
    records.runs.add_cases([run_case(0, split="must"), run_case(0, run_id="r-2")])
    assert list(records.runs.cases("r-1")) == [*cases, run_case(0, split="must")]
    assert list(records.runs.cases("r-3")) == []


def _values(row: object) -> list[object]:
    return [getattr(row, name) for name in row.__struct_fields__]  # type: ignore[attr-defined]


def test_a_run_is_running_while_its_process_lives_and_interrupted_when_it_was_killed(
    records: Records, url: str
) -> None:
    code = (
        "import sys; from store_rows import run; from shiftright.store import open_records\n"
        "with open_records(sys.argv[1]) as records:\n"
        "    records.runs.start(run('r-1')); print('begun', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert records.runs.get("r-1").status == "running"
        process.kill()
        process.wait()
    assert records.runs.get("r-1").status == "interrupted"
    assert [run.status for run in records.runs.list()] == ["interrupted"]
    records.runs.finish("r-1", status="stopped", ended_at=NOW)
    assert records.runs.get("r-1").status == "stopped"


def test_a_run_whose_decision_another_process_took_over_is_interrupted(records: Records) -> None:
    ours = new_holder()
    records.ledger.acquire("d-1", ours, 30.0)
    records.runs.start(run("r-1", decision_id="d-1"))
    assert records.runs.get("r-1").status == "running"
    records.ledger.release("d-1", ours)
    records.ledger.acquire("d-1", "elsewhere/1/1", 30.0)
    assert records.runs.get("r-1").status == "interrupted"
