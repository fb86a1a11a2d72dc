"""The intake writes in groups, tells what it lost, and never makes a caller wait."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from shiftright.core.trace import SpanRow
from shiftright.errors import StoreError
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.store.intake import Intake


def span(number: int) -> SpanRow:
    return SpanRow(
        trace_id=f"{1:032x}", span_id=f"{number + 1:016x}", name="x", start_ns=number, end_ns=number
    )


class Gate(DuckDBTelemetry):
    """A store whose writes wait until they are let through."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.open = threading.Event()
        self.writes: list[int] = []
        self.broken = False

    def append(self, spans: Sequence[SpanRow]) -> Sequence[SpanRow]:
        self.open.wait(5)
        self.writes.append(len(spans))
        if self.broken:
            raise StoreError("the disk is full")
        return super().append(spans)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "t.duckdb")


def test_commits_are_durable_when_done_and_written_together(gate: Gate) -> None:
    intake = Intake(gate)
    promises = [intake.commit([span(n)]) for n in range(50)]
    assert not promises[-1].done()
    gate.open.set()
    for promise in promises:
        promise.result(5)
    assert gate.count() == 50
    assert len(gate.writes) < 10
    intake.close()
    gate.close()


def test_offers_never_block_and_losses_are_counted(gate: Gate) -> None:
    intake = Intake(gate, largest=10, flush_s=0.01)
    first = intake.commit([span(99)])
    while intake.queued:
        pass
    assert intake.offer([span(n) for n in range(10)])
    assert not intake.offer([span(n) for n in range(10, 13)])
    assert intake.dropped == 3
    assert not intake.has_room(1)
    with pytest.raises(StoreError, match="wait to be written"):
        intake.commit([span(50)]).result(0)
    gate.open.set()
    first.result(5)
    intake.close()
    assert gate.count() == 11
    with pytest.raises(StoreError, match="closing"):
        intake.commit([span(51)]).result(0)
    gate.close()


def test_a_failed_write_is_told_and_the_next_one_tried(gate: Gate) -> None:
    intake = Intake(gate)
    gate.open.set()
    gate.broken = True
    with pytest.raises(StoreError, match="disk is full"):
        intake.commit([span(1), span(2)]).result(5)
    assert intake.dropped == 2
    assert "disk is full" in str(intake.failure)
    gate.broken = False
    intake.commit([span(1)]).result(5)
    assert intake.failure is None
    intake.close()
    gate.close()


def test_a_span_that_cannot_be_stored_does_not_end_the_intake(gate: Gate) -> None:
    gate.open.set()
    intake = Intake(gate)
    broken = SpanRow(trace_id="no", span_id="no", name="x", start_ns=0, end_ns=0)
    with pytest.raises(StoreError, match="not hexadecimal"):
        intake.commit([broken]).result(5)
    intake.commit([span(1)]).result(5)
    intake.close()
    gate.close()


def test_listeners_hear_what_is_new_and_cannot_break_it(gate: Gate) -> None:
    gate.open.set()
    heard: list[str] = []

    def broken(spans: Sequence[SpanRow]) -> None:
        raise ValueError("mine")

    intake = Intake(gate, prepare=lambda spans: [setattr(s, "name", "prepared") for s in spans] and None)
    intake.listen(broken)
    intake.listen(lambda spans: heard.extend(s.span_id for s in spans))
    intake.commit([span(1), span(1)]).result(5)
    intake.commit([span(1), span(2)]).result(5)
    intake.close()
    assert heard == [span(1).span_id, span(2).span_id]
    assert {s.name for s in gate.trace(f"{1:032x}")} == {"prepared"}
    gate.close()
