"""Traces as telemetry would keep them, and a feature with a contract around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from shiftright.core.trace import SpanRow

SPEC = """\
# sorts messages
feature: triage
run: triage:triage
cases: {dev: dev.jsonl, gate: gate.jsonl}   # tune on dev
checks:
  right: {score: exact, field: queue, at_least: 50%}
"""

CODE = """\
def triage(text):
    return {"queue": "card" if "card" in text.lower() else "other"}
"""


def trace_id(number: int) -> str:
    return f"{number:032x}"


def feature_span(number: int, value: Any, output: Any, *, feature: str = "triage", **more: Any) -> SpanRow:
    start = 1_795_000_000_000_000_000 + number * 1_000_000_000
    return SpanRow(
        trace_id=trace_id(number),
        span_id=f"{number:016x}",
        name=feature,
        start_ns=start,
        end_ns=start + 400_000_000,
        operation="feature",
        feature=feature,
        input=json.dumps(value),
        output=json.dumps(output),
        **more,
    )


def chat_span(number: int, messages: Any, answer: Any, **more: Any) -> SpanRow:
    start = 1_795_000_000_000_000_000 + number * 1_000_000_000
    given = {"provider": "openai", "model": "gpt-5-mini", "cost_usd": 0.0002} | more
    return SpanRow(
        trace_id=trace_id(number),
        span_id=f"{number:016x}",
        name="chat",
        start_ns=start,
        end_ns=start + 700_000_000,
        operation="chat",
        input=json.dumps(messages),
        output=json.dumps(answer),
        **given,
    )


def project(folder: Path, *, spec: str = SPEC) -> Path:
    """A feature that sorts messages, wrong on lost cards written in other words."""
    (folder / ".shiftright").mkdir(exist_ok=True)
    (folder / "spec.yaml").write_text(spec)
    (folder / "triage.py").write_text(CODE)
    rows = [
        {"id": f"g{i}", "input": f"my card {i} is lost", "expected": {"queue": "card"}} for i in range(60)
    ]
    for name in ("dev.jsonl", "gate.jsonl"):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
