"""Several processes at once, and processes that die."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from store_rows import consumed, decision

from shiftright.errors import StoreError
from shiftright.store import Records, open_records

WRITER = Path(__file__).with_name("store_writer.py")


def writer(url: str, name: str, flushes: int, size: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), url, f"r-{name}", f"d-{name}", str(flushes), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def counts(records: Records, name: str) -> set[int]:
    return {
        len(records.answers.get(f"r-{name}")),
        len(list(records.runs.cases(f"r-{name}"))),
        len(records.ledger.consumed(f"d-{name}")),
    }


def test_kill_9_leaves_whole_flushes_and_the_next_process_goes_on(url: str) -> None:
    size, kept = 7, 0
    open_records(url).close()
    for seen in (2, 9, 17):
        with writer(url, "a", 1_000_000, size) as process:
            assert process.stdout is not None
            for _ in range(seen):
                acknowledged = int(process.stdout.readline()) + size
            process.kill()
        with open_records(url) as records:
            (stored,) = counts(records, "a")
            assert stored >= acknowledged >= kept + seen * size
            assert stored % size == 0
            assert [row.position for row in records.ledger.consumed("d-a")] == list(range(stored))
            kept = stored


def test_processes_that_start_and_write_at_once_lose_nothing(url: str) -> None:
    names = ("a", "b", "c")
    processes = [writer(url, name, 12, 25) for name in names]  # the records do not exist yet
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    with open_records(url) as records:
        for name in names:
            assert counts(records, name) == {300}


def test_two_evals_of_one_decision_at_once(url: str) -> None:
    with open_records(url) as one, open_records(url) as two:
        one.ledger.create(decision())
        together = Barrier(2)

        refusals: list[str] = []

        def append(records: Records) -> None:
            for position in range(20):
                together.wait()
                try:
                    records.ledger.append([consumed(position)])
                except StoreError as error:
                    refusals.append(error.message)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(append, (one, two)))
        assert refusals == ["another eval is running this decision (d-1)"] * 20
        assert [row.position for row in two.ledger.consumed("d-1")] == list(range(20))


def test_a_reader_sees_only_what_was_committed(url: str) -> None:
    with writer(url, "a", 60, 5) as process, open_records(url) as records:
        while process.poll() is None:
            rows = records.ledger.consumed("d-a")
            assert len(rows) % 5 == 0
    with open_records(url) as records:
        assert counts(records, "a") == {300}
