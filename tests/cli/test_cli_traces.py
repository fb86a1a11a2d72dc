"""``traces``, ``trace``, ``costs`` and ``export``, from the store and from a server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from shiftright.core.trace import SpanRow
from shiftright.store.duckdb import DuckDBTelemetry

START = time.time_ns() - 60 * 10**9


def span(number: int, **fields: Any) -> SpanRow:
    base: dict[str, Any] = {
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "name": "triage",
        "operation": "feature",
        "feature": "triage",
        "start_ns": START + number * 10**6,
        "end_ns": START + number * 10**6 + 250_000_000,
        "input": json.dumps(f"parcel {number} \x1b[31mred\u202e"),
        "output": json.dumps("billing"),
        "attributes": {"url.path": "/v1", "n": number},
    }
    return SpanRow(**(base | fields))


@pytest.fixture
def project(shiftright: Any, tmp_path: Path) -> Any:
    telemetry = DuckDBTelemetry(tmp_path / ".shiftright" / "telemetry.duckdb")
    child = span(
        100, trace_id=f"{1:032x}", parent_span_id=f"{1:016x}", name="chat", operation="chat", model="gpt-5",
        input_tokens=10, output_tokens=5, cost_usd=0.25,
    )  # fmt: skip
    others = [span(number) for number in range(2, 6)]
    telemetry.append([span(1), child, *others, span(7, error="timeout: none", feature="other")])
    telemetry.close()
    return shiftright


def test_nothing_recorded_says_what_to_do(shiftright: Any) -> None:
    told = shiftright("traces")
    assert told.code == 3
    assert "shiftright record" in told.err


def test_lists_are_filtered_and_safe_to_look_at(project: Any) -> None:
    out = project("traces").out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert out.count("triage") == 5
    failed = project("traces", "--failed", "--json").json["data"]
    assert [row["feature"] for row in failed] == ["other"]
    assert len(project("traces", "--feature", "triage", "--since", "1h", "--json").json["data"]) == 5
    assert project("traces", "--since", "yesterdayish").code == 3


@pytest.mark.parametrize("width", [60, 80, 84, 110, 120])
def test_a_list_is_whole_at_every_width(
    shiftright: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    telemetry = DuckDBTelemetry(tmp_path / ".shiftright" / "telemetry.duckdb")
    large = {"input_tokens": 123_456, "output_tokens": 2_345, "cost_usd": 0.01234, "model": "gpt-5"}
    telemetry.append(
        [span(1, end_ns=START + 12_345 * 10**6, feature="f" * 60, **large), span(2, cost_usd=None)]
    )
    telemetry.close()
    monkeypatch.setenv("COLUMNS", str(width))
    lines = shiftright("traces").out.splitlines()
    assert all(len(line) <= width for line in lines)
    assert "12,34" in lines[2]
    assert "…" not in lines[1].partition('"')[0]
    assert lines[1].count('"') >= 1, "what was asked is there"
    told = ("123,456+2,345", "0.01234 USD") if width >= 110 else ()
    assert all(words in lines[2] for words in told)


def test_one_trace_is_a_tree_with_what_it_took(project: Any) -> None:
    out = project("trace", f"{1:032x}").out
    lines = [line for line in out.splitlines() if "━" in line]
    assert "triage" in lines[0]
    assert "  chat" in lines[1]
    assert "10+5 tokens · 0.25 USD" in lines[1]
    assert "\x1b" not in out
    assert project("trace", f"{1:032x}", "--json").json["spans"][1]["model"] == "gpt-5"
    assert "there is no trace" in project("trace", "f" * 32).err


def test_costs_by_model_and_feature(project: Any) -> None:
    assert "0.25 USD" in project("costs", "--by", "model").out
    rows = project("costs", "--json").json["data"]
    assert {row["group"]: row["traces"] for row in rows} == {"triage": 5, "other": 1}


def test_exports_hold_every_span(project: Any, tmp_path: Path) -> None:
    assert project("export", "--jsonl", "spans.jsonl").code == 0
    lines = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
    assert len(lines) == 7
    assert {line["cost_usd"] for line in lines} == {0.0, 0.25}
    assert project("export", "--parquet", "spans.parquet", "--feature", "triage").code == 0
    with duckdb.connect() as database:
        found = database.execute(
            f"SELECT count(*), sum(cost_usd), max(output_tokens) FROM '{tmp_path / 'spans.parquet'}'"
        ).fetchone()
    assert found == (6, 0.25, 5)
    assert sorted(path.name for path in tmp_path.iterdir() if "spans" in path.name) == [
        "spans.jsonl",
        "spans.parquet",
    ]
    assert project("export").code == 3
    assert project("export", "--jsonl", "no/such/folder.jsonl").code == 3


def test_the_same_from_a_running_server(project: Any, tmp_path: Path) -> None:
    """The server owns the store: the commands ask it, and it answers what the store would have."""
    alone = project("traces", "--json").json, project("costs", "--json").json
    project("export", "--jsonl", "alone.jsonl")
    server = subprocess.Popen(
        [sys.executable, "-m", "shiftright", "serve", "--port", "0", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline()
        assert (project("traces", "--json").json, project("costs", "--json").json) == alone
        assert [row["name"] for row in project("trace", f"{1:032x}", "--json").json["spans"]] == [
            "triage",
            "chat",
        ]
        assert len(project("traces", "--failed", "--since", "1h", "--json").json["data"]) == 1
        assert project("export", "--jsonl", "served.jsonl").code == 0
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()
    assert (tmp_path / "served.jsonl").read_text() == (tmp_path / "alone.jsonl").read_text()
