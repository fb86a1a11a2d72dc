"""A support desk: messages in, ``{"queue", "reply"}`` out, by two recorded models whose differences are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shiftright.core.trace import SpanRow
from shiftright.settings import Settings
from shiftright.store import Records, open_records
from shiftright.store.duckdb import DuckDBTelemetry

CONTRACT = """\
feature: desk
run: desk:answer
baseline: old
variants:
  old: {model: "recorded:old.jsonl", price: {input: 10 USD/M, output: 30 USD/M}}
  twin: {model: "recorded:twin.jsonl", price: {input: 1 USD/M, output: 3 USD/M}}
  cheap: {model: "recorded:cheap.jsonl", price: {input: 1 USD/M, output: 3 USD/M}}
  rules: {run: "desk:rules"}
cases: cases.jsonl
checks:
  right: {score: exact, field: queue, max_drop: 10 points}
  json: {score: schema, at_least: 90%}
value: {uses_per_month: 100000}
"""
CODE = """\
from pathlib import Path

from shiftright import Context

CALLS = Path(__file__).with_name("calls.log")

async def answer(text: str, ctx: Context):
    with CALLS.open("a") as calls:
        calls.write(f"{ctx.variant.name}\\n")
    return await ctx.ask(text)

def rules(text: str) -> dict:
    return {"queue": "billing", "reply": "Please wait."}
"""
TOPICS = ("refund", "invoice", "password", "router")
QUEUES = {"refund": "billing", "invoice": "billing", "password": "account", "router": "technical"}
TEXT = "My {topic} number {i} does not work any more, can somebody have a look at it, please?"
REPLY = (
    "Thank you for your message about the {topic}. We have looked at it and will fix it within a day for you."
)
GERMAN = "Vielen Dank für Ihre Nachricht. Wir haben uns das angesehen und kümmern uns heute noch darum."


def topic(i: int) -> str:
    return TOPICS[i % len(TOPICS)]


def old(i: int) -> str:
    return json.dumps({"queue": QUEUES[topic(i)], "reply": REPLY.format(topic=topic(i))})


def cheap(i: int) -> str:
    """Refuses refunds, sends routers to billing, answers one password in five in German, some invoices as prose."""
    match topic(i):
        case "refund":
            return "I'm sorry, but I can't help with that request."
        case "router":
            return json.dumps({"queue": "billing", "reply": REPLY.format(topic="router")})
        case "password" if i % 20 == 2:
            return json.dumps({"queue": "account", "reply": GERMAN})
        case "invoice" if i % 12 == 1:
            return "Your invoice is fine and there is nothing that you would have to do about it today."
        case _:
            return old(i)


ANSWERS: dict[str, Callable[[int], str]] = {"old": old, "twin": lambda i: old(i) + " ", "cheap": cheap}


class Desk:
    def __init__(self, folder: Path, cases: int = 240, contract: str = CONTRACT) -> None:
        self.folder = folder
        (folder / ".shiftright").mkdir(parents=True, exist_ok=True)
        self.write("spec.yaml", contract)
        self.write("desk.py", CODE)
        self.rows("cases.jsonl", [self.case(i) for i in range(cases)])
        self.record([(f"c{i}", i) for i in range(cases)])

    @staticmethod
    def case(i: int) -> dict[str, Any]:
        said = {"queue": QUEUES[topic(i)]}
        return {
            "id": f"c{i}",
            "input": TEXT.format(topic=topic(i), i=i),
            "expected": said,
            "tags": [topic(i)],
        }

    def record(self, named: list[tuple[str, int]], **answers: Callable[[int], str]) -> None:
        for name, said in (ANSWERS | answers).items():
            self.rows(
                f"{name}.jsonl",
                [
                    {"case_id": id_, "output": said(i), "tokens": {"input": 50, "output": 30}}
                    for id_, i in named
                ],
            )

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def rows(self, name: str, rows: list[dict[str, Any]]) -> None:
        self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    @property
    def calls(self) -> int:
        path = self.folder / "calls.log"
        return len(path.read_text().splitlines()) if path.exists() else 0

    @contextmanager
    def records(self) -> Iterator[Records]:
        with open_records(Settings.load(self.folder, env={}).records_url) as records:
            yield records

    @contextmanager
    def telemetry(self) -> Iterator[DuckDBTelemetry]:
        store = DuckDBTelemetry(self.folder / ".shiftright" / "telemetry.duckdb")
        try:
            yield store
        finally:
            store.close()


def spans(number: int, start_ns: int, *, feature: str = "desk", model: str = "gpt-4o") -> list[SpanRow]:
    """One live request: the feature and its model call. The same inputs come again every 40 requests."""
    i = number % 40
    ids = {
        "trace_id": f"{number + 1:032x}",
        "feature": feature,
        "start_ns": start_ns,
        "end_ns": start_ns + 10**9,
    }
    root = SpanRow(
        **ids, span_id=f"{number + 1:016x}", name=feature, operation="feature", user=f"user {number}",
        input=json.dumps(TEXT.format(topic=topic(i), i=i)), output=json.dumps(old(i)),
    )  # fmt: skip
    call = SpanRow(
        **ids, span_id=f"{number + 1:015x}f", parent_span_id=root.span_id, name="chat", operation="chat",
        provider="openai", model=model, input_tokens=900, output_tokens=300, cost_usd=0.005,
        input=json.dumps([{"role": "user", "content": "…"}]), output=json.dumps("…"),
    )  # fmt: skip
    return [root, call]
