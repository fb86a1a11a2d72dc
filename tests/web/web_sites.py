"""A served project with everything that a page can show: verdicts, traffic, complaints, and text that attacks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shiftright.core.score import Score
from shiftright.core.trace import SpanRow
from shiftright.evals.evaluate import evaluate
from shiftright.evals.options import Options
from shiftright.improve.feedback import Given, take
from shiftright.settings import Settings
from shiftright.store import open_records
from shiftright.store.intake import Intake
from shiftright.store.rows import ScoreRow
from shiftright.store.telemetry import open_telemetry
from shiftright.web.site import Site

BASE = "http://127.0.0.1"
PAGE = {"accept": "text/html"}
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    " **bold** [click](javascript:alert(1)) \x1b[31mred\x1b[0m \u202egnp.exe \u0000 {{7*7}} {% raw %} ' \" &lt; "
)
SPEC = """\
feature: echo
purpose: Says back what it is told.
run: echo:echo
baseline: good
variants:
  good: {wrong: 0}
  bad: {wrong: 4}
cases: {gate: gate.jsonl}
checks:
  right: {score: exact, max_drop: 10 points}
  latency: {p95_at_most: 2 s, each_at_most: 10 s}
"""
CODE = """\
from shiftright import variant

async def echo(text: str) -> str:
    every = variant("echo")["wrong"]
    return "wrong" if every and sum(map(ord, text)) % every == 0 else text
"""
MESSAGES = [
    {"role": "system", "content": "Answer briefly. " * 20},
    {"role": "user", "content": "Hello"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"type": "function", "function": {"name": "look_up", "arguments": '{"order": 7}'}}],
    },
    {"role": "tool", "content": '{"status": "sent"}'},
    {"role": "user", "content": HOSTILE},
]


def trace_id(number: int) -> str:
    return f"{number:032x}"


def spans(
    number: int, *, feature: str = "echo", text: str = "Where is my parcel?", error: str | None = None
) -> list[SpanRow]:
    """One trace: a feature call, its retrieval, its model call."""
    start = time.time_ns() - number * 60 * 10**9
    trace, root = trace_id(number), f"{number:016x}"
    return [
        SpanRow(
            trace_id=trace, span_id=root, name=f"feature {feature}", start_ns=start, end_ns=start + 800 * 10**6,
            operation="feature", feature=feature, variant="good", user=f"user {number % 3}", session="s1",
            input=json.dumps(text), output=json.dumps("It is on its way. " + text), error=error,
        ),
        SpanRow(
            trace_id=trace, span_id=f"a{number:015x}", parent_span_id=root, name="search", operation="retrieval",
            start_ns=start + 10**7, end_ns=start + 10**8, input=json.dumps(text), output="Parcels take three days.",
        ),
        SpanRow(
            trace_id=trace, span_id=f"b{number:015x}", parent_span_id=root, name="chat gpt-5-mini", operation="chat",
            start_ns=start + 10**8, end_ns=start + 7 * 10**8, provider="openai", model="gpt-5-mini",
            input_tokens=120, output_tokens=30, cached_tokens=20, cost_usd=0.0004 if number % 5 else None,
            input=json.dumps(MESSAGES), output=json.dumps([{"role": "assistant", "content": HOSTILE}]),
            attributes={"gen_ai.request.temperature": 0.2, HOSTILE: HOSTILE},
        ),
    ]  # fmt: skip


@contextmanager
def site(folder: Path, *, key: str | None = None, empty: bool = False) -> Iterator[Site]:
    """Stores in ``folder``; with traffic, a verdict, scores and complaints unless ``empty``."""
    (folder / ".shiftright").mkdir(parents=True)
    settings = Settings.load(folder, env={"SHIFTRIGHT_KEY": key or ""})
    telemetry = open_telemetry(settings.telemetry_url)
    intake = Intake(telemetry)
    with open_records(settings.records_url) as records:
        made = Site(settings, records, telemetry, intake, key)
        if not empty:
            fill(made)
        yield made
        intake.close()
        telemetry.close()


def fill(made: Site) -> None:
    root = made.settings.root
    (root / "spec.yaml").write_text(SPEC)
    (root / "echo.py").write_text(CODE)
    rows = [
        {"id": f"c{i}", "input": f"hello {i}", "expected": f"hello {i}", "tags": ["odd" if i % 2 else "even"]}
        for i in range(200)
    ]
    (root / "gate.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asyncio.run(evaluate("echo", made.settings, made.records, Options(variant="bad")))
    stored = [
        span for i in range(1, 61) for span in spans(i, error="upstream said 529" if i % 9 == 0 else None)
    ]
    stored += [span for i in range(61, 71) for span in spans(i, feature="support", text=HOSTILE)]
    stored += spans(71, text=HOSTILE * 40)
    made.intake.commit(stored).result(30)
    for number in (1, 2, 61, 71):
        take(made.records, made.telemetry.trace, Given(trace_id=trace_id(number), value=0, comment=HOSTILE))
    polite = Score("polite", 0.2, explanation=HOSTILE)
    row = ScoreRow(trace_id=trace_id(1), feature="echo", score=polite, created_at=time.time())
    made.records.scores.add([row])
