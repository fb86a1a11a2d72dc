"""A project whose features run in another program: what flags say of it, and spans that come back."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
from tests.ship.releasing import freeze

from shiftright.core.rollout import Rollout, assign
from shiftright.core.spec import Spec
from shiftright.ship import rollouts
from shiftright.store import Records

SPEC = """\
feature: triage
run: triage:answer
cases: cases.jsonl
variants:
  keywords: {words: [refund, broken], how: {deep: 1}}
  retrieved: {words: [refund], top_k: 4}
baseline: keywords
checks:
  quick: {score: latency, p95_at_most: 2 s}
  polite: {score: regex, pattern: "^please", max_drop: 10 points}
ship: {steps: [50%, 100%], back_if_drop: 10 points, outcome_after: 1 s}
"""
_numbers = itertools.count(1)


def project(root: Path) -> None:
    (root / "spec.yaml").write_text(SPEC, encoding="utf-8")
    (root / "cases.jsonl").write_text('{"input": "a"}\n', encoding="utf-8")
    (root / "triage.py").write_text("def answer(text: str) -> str:\n    return text\n", encoding="utf-8")


def begin(spec: Spec, records: Records, variant: str = "retrieved") -> Rollout:
    return rollouts.begin(spec, freeze(spec, variant, records), records)


def one_of(rollout: Rollout, arm: str) -> str:
    """A user of this arm while half of them are in the canary."""
    return next(f"u{k}" for k in range(100) if assign(rollout.salt, f"u{k}", 0.5) == arm)


def send_span(
    url: str, attributes: Mapping[str, object], *, failed: bool = False, took_s: float = 0.5
) -> str:
    """One span of a program, as OpenTelemetry's exporters write it in JSON; gives its trace's id."""
    number, now = next(_numbers), time.time_ns()
    kinds = {str: "stringValue", float: "doubleValue", int: "intValue"}
    span = {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "parentSpanId": "00000000000000aa",
        "name": "triage",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + int(took_s * 1e9)),
        "attributes": [
            {"key": key, "value": {kinds[type(value)]: value}} for key, value in attributes.items()
        ],
        "status": {"code": 2 if failed else 0},
    }
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    body = {"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": [span]}]}]}
    answer = httpx.post(
        f"{url}/v1/traces", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 200, answer.text
    return str(span["traceId"])
