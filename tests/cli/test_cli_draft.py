"""``shiftright draft`` through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shiftright.core.trace import SpanRow
from shiftright.store.telemetry import open_telemetry


def record(folder: Path, count: int = 12) -> None:
    spans = []
    for i in range(1, count + 1):
        words = f"question about {'abcdefghijklmn'[i]}{i}x topic{'qrstuvwxyzabcd'[i]}"
        span = SpanRow(
            trace_id=f"{i:032x}",
            span_id=f"{i:016x}",
            name="chat",
            start_ns=i * 10**9,
            end_ns=i * 10**9 + 5 * 10**8,
            operation="chat",
            provider="openai",
            model="gpt-5-mini",
            cost_usd=0.001,
            input=json.dumps([{"role": "user", "content": words}]),
            output=json.dumps([{"role": "assistant", "content": "an answer"}]),
        )
        spans.append(span)
    telemetry = open_telemetry(f"duckdb:///{folder / '.shiftright' / 'telemetry.duckdb'}")
    telemetry.append(spans)
    telemetry.close()


def test_draft_then_check(shiftright: Any, tmp_path: Path) -> None:
    nothing = shiftright("draft", "--feature", "faq")
    assert nothing.code == 3
    assert "record" in nothing.err
    record(tmp_path)
    made = shiftright("draft", "--feature", "faq", "--json").json
    assert {Path(name).name for name in made["files"]} == {"spec.yaml", "dev.jsonl", "gate.jsonl"}
    assert any("expected" in edit for edit in made["edit"])
    checked = shiftright("check", "faq")
    assert checked.code == 0, checked.err
    again = shiftright("draft", "--feature", "faq")
    assert again.code == 3
    assert "nothing was written" in again.err
    assert shiftright("draft", "--feature", "no name!").code == 3


def test_labels_first_then_draft(shiftright: Any, tmp_path: Path) -> None:
    record(tmp_path)
    opened = shiftright("review", "label", "--limit", "8", "--json").json["opened"]
    for number, review_id in enumerate(opened):
        more = () if number % 2 else ("--correction", "a better answer")
        done = shiftright("review", "resolve", review_id, "good" if number % 2 else "bad", *more)
        assert done.code == 0, done.err
    said = shiftright("draft", "--feature", "faq", "--folder", "here")
    assert "8 inputs with a right answer" in said.out
    assert "4 more inputs have no right answer yet" in said.out
    assert "max_drop" in (tmp_path / "here" / "spec.yaml").read_text()
    assert shiftright("check", "faq").code == 0
