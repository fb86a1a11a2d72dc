"""Small rows to store."""

from __future__ import annotations

from typing import Any

from shiftright.core.answer import Answer, Failure, Span, Usage
from shiftright.core.score import Score
from shiftright.core.verdict import CheckRow, Verdict
from shiftright.store.ids import answer_id
from shiftright.store.rows import ConsumedRow, DecisionRow, RunCase, RunRow, StoredAnswer

NOW = 1_795_000_000.5

FULL = Answer(
    output={"queue": "Karte – «verloren»", "score": 0.1, "list": [1, None, True]},
    usage=Usage(12, 3, 1, 0),
    cost_usd=None,
    latency_s=0.25,
    model_calls=2,
    cached_calls=1,
    spans=(Span("chat", 5, 250_000, -1, {"gen_ai.request.model": "m"}, None),),
)

VERDICT = Verdict(
    "inconclusive",
    "yes",
    (
        CheckRow(
            "right",
            "max_drop",
            "3 points",
            "inconclusive",
            -0.01,
            (-0.05, 0.03),
            120,
            20.0,
            5.0,
            3.2,
            0.4,
            "few",
        ),
    ),
    ("120 cases resolve 8 points",),
)


def stored(
    input_digest: str = "i0",
    answer: Answer = FULL,
    *,
    variant: str = "v0",
    repeat: int = 0,
    case_id: str = "c0",
) -> StoredAnswer:
    return StoredAnswer(answer_id(), "triage", variant, input_digest, repeat, "r-1", case_id, answer, NOW)


def failed(input_digest: str = "i0") -> StoredAnswer:
    return stored(input_digest, Answer(failure=Failure("timeout", "no answer\x00 in 2 s"), cost_usd=0.1))


def run(run_id: str, feature: str = "triage", **more: Any) -> RunRow:
    return RunRow(run_id, feature, "retrieved", "v0", "ds0", NOW, **more)


def run_case(position: int, run_id: str = "r-1", split: str = "gate") -> RunCase:
    score = Score("exact", 1.0, label="hit", explanation="same queue")
    return RunCase(
        run_id,
        split,
        position,
        f"c{position}",
        f"d{position}",
        ("a1", "a2"),
        ("b1",),
        {"right": (score, Score("exact", None, failure="judge is down"))},
        {"right": (score,)},
    )


def decision(decision_id: str = "d-1", key: str = "k", attempt: int = 1, **more: Any) -> DecisionRow:
    return DecisionRow(decision_id, key, "triage", "retrieved", NOW, NOW, attempt, "zero_shot", **more)


def consumed(position: int, decision_id: str = "d-1") -> ConsumedRow:
    before = {"right": (None,)}
    return ConsumedRow(
        decision_id,
        position,
        f"c{position}",
        f"d{position}",
        {"right": (1.0, 0.5)},
        before,
        closes=bool(position % 2),
    )
