"""``shiftright erase``: what goes, what stays, and who is asked."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from shiftright.core.trace import SpanRow
from shiftright.settings import Settings
from shiftright.store import open_records
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.store.rows import FeedbackRow
from shiftright.store.spool import Spool
from shiftright.tracing.otlp import encode_traces


def span(number: int, **fields: Any) -> SpanRow:
    start = time.time_ns()
    return SpanRow(
        trace_id=f"{number:032x}", span_id=f"{number:016x}", name="a", operation="feature", start_ns=start,
        end_ns=start + 1, input=json.dumps("where is it?"), **fields,
    )  # fmt: skip


@pytest.fixture
def project(shiftright: Any, tmp_path: Path) -> Any:
    """Traces 1 (ann), 2 (bob) stored, 3 (ann) put aside; feedback with a comment on 1 and 2."""
    settings = Settings.load(tmp_path, env={})
    telemetry = DuckDBTelemetry(tmp_path / ".shiftright" / "telemetry.duckdb")
    telemetry.append([span(1, user="ann", session="s1"), span(2, user="bob")])
    telemetry.close()
    Spool(settings.home / "spool").put(encode_traces([span(3, user="ann")]))
    with open_records(settings.records_url) as records:
        for number in (1, 2):
            records.feedback.add(
                FeedbackRow(
                    trace_id=f"{number:032x}", name="thumbs", created_at=time.time(), value=0, comment="I"
                )
            )
    return shiftright


def comments(tmp_path: Path) -> list[str | None]:
    with open_records(Settings.load(tmp_path, env={}).records_url) as records:
        return [records.feedback.of_trace(f"{number:032x}")[0].comment for number in (1, 2)]


def test_a_user_is_forgotten_and_it_is_said_what_stays(project: Any, tmp_path: Path) -> None:
    refused = project("erase", "--user", "ann")
    assert refused.code == 3
    assert "--yes" in refused.err
    done = project("erase", "--user", "ann", "--yes")
    assert done.code == 0
    assert "erased 2 traces (2 spans)" in done.out
    assert "texts of 1 feedback, 0 reviews, 0 scores" in done.out
    assert "what stays: values" in done.out
    assert [row["trace_id"] for row in project("traces", "--json").json["data"]] == [f"{2:032x}"]
    assert list((tmp_path / ".shiftright" / "spool").glob("*.otlp")) == []
    assert comments(tmp_path) == [None, "I"]


def test_a_server_erases_what_it_owns(project: Any, tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "shiftright", "serve", "--port", "0", "--json"], cwd=tmp_path,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        assert server.stdout.readline()
        told = project("erase", "--user", "ann", "--yes", "--json").json
        assert told["erased"] == {
            "traces": 2,
            "spans": 2,
            "texts": {"feedback": 1, "reviews": 0, "scores": 0, "answers": 0},
        }
        assert project("erase", "--trace", "zz", "--yes").code == 3
        assert project("erase", "--trace", f"{2:032x}", "--yes").code == 0
        assert project("traces", "--json").json["data"] == []
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()
    assert comments(tmp_path) == [None, None]


def test_one_thing_is_erased_at_a_time(project: Any) -> None:
    for words in ((), ("--user", "a", "--session", "b"), ("--user", "")):
        assert "Name one" in project("erase", *words, "--yes").err
    assert "no id of a trace" in project("erase", "--trace", "12", "--yes").err
    assert "erased 1 trace (1 span)" in project("erase", "--session", "s1", "--yes").out
