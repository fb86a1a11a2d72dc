"""A project with live traffic: real records, real telemetry, spans as a gateway makes them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

from shiftright.core.trace import SpanRow
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.tracing import attributes as names

SPEC = """\
feature: triage
run: triage:triage
cases: cases.jsonl
checks:
  right:  {score: exact, field: queue, at_least: 70%}
  json:   {score: schema, schema: shape.json, never_fails: true}
  polite: {score: "scores:polite", at_least: 90%}
  speed:  {p95_at_most: 2 s}
  cost:   {mean_at_most: 0.01 USD, each_at_most: 0.05 USD}
  helpful: {score: feedback, at_least: 80%}
live: {sample: 50%}
"""
CODE = "def triage(text: str) -> dict:\n    return {'queue': 'billing'}\n"
SCORES = "def polite(output) -> float:\n    return 1.0 if 'please' in output['queue'] else 0.0\n"
SHAPE = {"type": "object", "required": ["queue"]}


class Live:
    """A folder with a contract, its records and its telemetry."""

    def __init__(self, folder: Path, records: Records, telemetry: DuckDBTelemetry) -> None:
        self.folder, self.records, self.telemetry = folder, records, telemetry
        self.settings = Settings.load(folder, env={})
        self._number = itertools.count(1)

    def span(
        self, *, output: object = None, ago_s: float = 1.0, ms: float = 100.0, **fields: object
    ) -> SpanRow:
        number = next(self._number)
        start = time.time_ns() - int(ago_s * 1e9) - int(ms * 1e6)
        row = SpanRow(
            trace_id=f"{number:032x}",
            span_id=f"{number:016x}",
            name="triage",
            start_ns=start,
            end_ns=start + int(ms * 1e6),
            operation="feature",
            service="shiftright",
            feature="triage",
            cost_usd=0.001,
            input=json.dumps(f"where is parcel {number}?"),
            output=json.dumps({"queue": "billing, please"} if output is None else output),
            attributes={names.URL_PATH: "/v1/features/triage"},
        )
        for name, value in fields.items():
            setattr(row, name, value)
        return row


def wait_for(true: Callable[[], bool], timeout_s: float = 10.0) -> None:
    until = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until, "it never came to be"
        time.sleep(0.01)
