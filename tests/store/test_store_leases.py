from __future__ import annotations

import os
import subprocess
import sys
import time
from threading import Timer

import pytest

from shiftright.errors import StoreError
from shiftright.store import Records, open_records
from shiftright.store.leases import new_holder

TERM = 0.2


def test_one_holder_at_a_time(records: Records) -> None:
    lease = records.ledger.lease
    assert lease("d-1", "a", TERM) == "a"
    assert lease("d-1", "b", TERM) == "a"
    assert lease("d-2", "b", TERM) == "b"
    records.ledger.release("d-1", "b")
    assert lease("d-1", "b", TERM) == "a"
    records.ledger.release("d-1", "a")
    assert lease("d-1", "b", TERM) == "b"


def test_a_holder_that_renews_keeps_it(records: Records) -> None:
    assert records.ledger.lease("d-1", "a", TERM) == "a"
    for _ in range(4):
        assert records.ledger.lease("d-1", "b", 0.0) == "a"
        time.sleep(TERM * 0.6)
        assert records.ledger.lease("d-1", "a", TERM) == "a"


def test_a_silent_holder_loses_it_after_its_own_term_as_watched(records: Records, url: str) -> None:
    assert records.ledger.lease("d-1", "a", TERM) == "a"
    time.sleep(TERM * 1.2)
    with open_records(url) as other:
        # It has only just begun to watch: how long "a" was silent before cannot be known without a clock.
        assert other.ledger.lease("d-1", "b", TERM) == "a"
        time.sleep(TERM * 1.2)
        assert other.ledger.lease("d-1", "b", TERM) == "b"
    assert records.ledger.lease("d-1", "a", TERM) == "b"


def test_given_back_and_taken_again_is_not_standing_still(records: Records, url: str) -> None:
    with open_records(url) as other:
        records.ledger.lease("d-1", "a", TERM)
        assert other.ledger.lease("d-1", "b", TERM) == "a"
        time.sleep(TERM * 1.2)
        records.ledger.release("d-1", "a")
        records.ledger.lease("d-1", "a", TERM)
        assert other.ledger.lease("d-1", "b", TERM) == "a"


def test_waiting_takes_over_from_a_silent_holder(records: Records) -> None:
    records.ledger.lease("d-1", "a", TERM)
    records.ledger.acquire("d-1", "b", TERM)
    assert records.ledger.lease("d-1", "a", TERM) == "b"


def test_waiting_ends_when_the_holder_shows_that_it_lives(records: Records) -> None:
    records.ledger.lease("d-1", "a", 600)
    renewal = Timer(TERM, records.ledger.lease, ("d-1", "a", 600))
    renewal.start()
    with pytest.raises(StoreError, match=r"another eval is running this decision \(d-1, a\)"):
        records.ledger.acquire("d-1", "b", 600)
    renewal.join()


def test_a_holder_that_died_on_this_machine_loses_it_at_once(records: Records, url: str) -> None:
    take = (
        "import sys\n"
        "from shiftright.store import open_records\n"
        "from shiftright.store.leases import new_holder\n"
        "with open_records(sys.argv[1]) as r: print(r.ledger.lease('d-1', new_holder(), 600))"
    )
    dead = subprocess.run([sys.executable, "-c", take, url], check=True, capture_output=True, text=True)
    assert dead.stdout.strip()
    me = new_holder()
    assert records.ledger.lease("d-1", me, 600) == me


def test_a_living_holder_on_this_machine_keeps_it(records: Records) -> None:
    parent = new_holder().replace(f"/{os.getpid()}/", f"/{os.getppid()}/")
    assert records.ledger.lease("d-1", parent, 600) == parent
    assert records.ledger.lease("d-1", new_holder(), 600) == parent


def test_a_clock_that_goes_back_or_forth_moves_no_lease(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = records.ledger.lease
    assert lease("d-1", "a", TERM) == "a"
    for day in (-1, 3650, -3650):
        moved = time.time() + day * 86_400
        monkeypatch.setattr(time, "time", lambda moved=moved: moved)
        monkeypatch.setattr(time, "time_ns", lambda moved=moved: int(moved * 1e9))
        assert lease("d-1", "b", TERM) == "a", "a day gone by on the clock is no silence"
        assert lease("d-1", "a", TERM) == "a"
    assert lease("d-1", "b", TERM) == "a"
    time.sleep(TERM * 1.2)
    assert lease("d-1", "b", TERM) == "b", "and silence is one, whatever the clock shows"


def test_two_evals_in_one_process_are_two_holders(records: Records) -> None:
    one, two = new_holder(), new_holder()
    assert records.ledger.lease("d-1", one, 600) == one
    assert records.ledger.lease("d-1", two, 600) == one
