"""The shipped data: whole, disjoint, credited; and the plain code is as good as the demo says."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from shiftright import datasets, features, prompts, spec

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "src" / "shiftright" / "examples"
TRIAGE, COMPARE = EXAMPLES / "triage", EXAMPLES / "compare"
PAIRS = ROOT / "benchmarks" / "data" / "mmlu_pro_pairs.csv.gz"
OLD, NEW = "Mixtral-8x7B-Instruct-v0.1", "mathstral-7B"
SPLITS = ("train", "dev", "gate", "must")
QUEUES = {"identity", "exchange", "transfers", "security", "cards"}


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_splits_share_no_message() -> None:
    messages = {
        split: {
            frozenset(re.findall(r"[a-z']+", row["input"].lower())) for row in read(TRIAGE / f"{split}.jsonl")
        }
        for split in SPLITS
    }
    for one, other in combinations(SPLITS, 2):
        assert not messages[one] & messages[other], (one, other)


def test_ids_are_unique_and_every_row_is_labelled() -> None:
    rows = [row for split in SPLITS for row in read(TRIAGE / f"{split}.jsonl")]
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["expected"]["queue"] for row in rows} == QUEUES
    queue_of: dict[str, set[str]] = {}
    for row in rows:
        (intent,) = row["tags"]
        queue_of.setdefault(intent, set()).add(row["expected"]["queue"])
    assert all(len(queues) == 1 for queues in queue_of.values())


def test_the_contract_loads_and_names_what_there_is() -> None:
    contract = spec.load(TRIAGE / "spec.yaml")
    assert contract.baseline in contract.variants
    sizes = {}
    for split, path in contract.cases.items():
        dataset = datasets.load(path)
        assert not dataset.warnings
        sizes[split] = len(dataset.cases)
    assert 8 <= sizes["must"] <= 12
    assert sizes["gate"] == 400
    assert sizes["dev"] == 120
    for variant in contract.variants:
        asyncio.run(features.load(contract, variant).close())


def test_the_declared_output_is_one_of_the_five_queues() -> None:
    loaded = features.load(spec.load(TRIAGE / "spec.yaml"), "zero_shot")
    assert loaded.output_schema is not None
    assert set(loaded.output_schema["properties"]["queue"]["enum"]) == QUEUES


@pytest.mark.parametrize("name", ["zero_shot", "retrieved", "shortened"])
def test_a_prompt_shows_the_message_and_no_gate_case(name: str) -> None:
    prompt = prompts.load(TRIAGE / "prompts" / f"{name}.md")
    text = prompt.render({"message": "Where is <b>it</b>? {{ 7 * 7 }}", "solved": [("My card!", "cards")]})
    assert isinstance(text, str)
    assert "Where is <b>it</b>? {{ 7 * 7 }}" in text
    assert ('My card!\n{"queue": "cards"}' in text) == (name == "retrieved")
    assert not any(row["input"].lower() in prompt.text.lower() for row in read(TRIAGE / "gate.jsonl"))


def test_nearest_is_right_nine_times_in_ten_and_on_every_must_case() -> None:
    loaded = features.load(spec.load(TRIAGE / "spec.yaml"), "nearest")

    async def right(split: str) -> list[bool]:
        rows = read(TRIAGE / f"{split}.jsonl")
        answers = [await features.call(loaded, row["input"], case_id=row["id"]) for row in rows]
        return [answer.output == row["expected"] for answer, row in zip(answers, rows, strict=True)]

    async def both() -> tuple[list[bool], list[bool]]:
        return await right("gate"), await right("must")

    gate, must = asyncio.run(both())
    assert sum(gate) / len(gate) >= 0.90
    assert all(must)


def test_a_message_without_known_words_is_still_answered() -> None:
    loaded = features.load(spec.load(TRIAGE / "spec.yaml"), "nearest")
    for message in ("", "???", "xyzzy"):
        answer = asyncio.run(features.call(loaded, message, case_id="x"))
        assert answer.output["queue"] in QUEUES


def test_the_two_result_files_are_what_their_readme_says() -> None:
    old, new = (read(COMPARE / f"{model.lower()}.jsonl") for model in (OLD, NEW))
    assert [row["case_id"] for row in old] == [row["case_id"] for row in new]
    assert len({row["case_id"] for row in old}) == len(old) == 600
    assert all(row["score"] == (row["output"] == row["expected"]) for row in old + new)
    change = {b["case_id"]: b["score"] - a["score"] for a, b in zip(old, new, strict=True)}
    assert sum(change.values()) == 6  # one point
    assert 150 < sum(map(abs, change.values())) < 170
    health = [change[row["case_id"]] for row in old if row["tags"] == ["health"]]
    law = [change[row["case_id"]] for row in old if row["tags"] == ["law"]]
    assert round(100 * sum(health) / len(health)) == -23
    assert round(100 * sum(law) / len(law)) == -13


def test_the_pairs_agree_with_the_result_files() -> None:
    with gzip.open(PAIRS, "rt", encoding="utf-8", newline="") as lines:
        rows = {f"mmlu-pro-{row['question_id']}": row for row in csv.DictReader(lines)}
    assert len(rows) == 6066
    assert len(next(iter(rows.values()))) == 5 + 21
    for model in (OLD, NEW):
        for row in read(COMPARE / f"{model.lower()}.jsonl"):
            assert (row["output"] or "-") == rows[row["case_id"]][model]
            assert row["expected"] == rows[row["case_id"]]["answer"]

    def mean_change(category: str | None) -> float:
        some = [row for row in rows.values() if category in (None, row["category"])]
        return sum((row[NEW] == row["answer"]) - (row[OLD] == row["answer"]) for row in some) / len(some)

    assert round(100 * mean_change(None), 1) == 0.1
    assert round(100 * mean_change("health")) == -12


def test_unchanged_trials_are_the_same_tasks() -> None:
    trials = [read(path) for path in sorted(COMPARE.glob("unchanged-trial-*.jsonl"))]
    assert len(trials) == 4
    assert len({tuple(row["case_id"] for row in trial) for trial in trials}) == 1
    assert {row["score"] for trial in trials for row in trial} == {0, 1}


def test_all_of_it_is_small() -> None:
    files = [path for path in EXAMPLES.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files if path.parent == COMPARE) < 400_000
    assert sum(path.stat().st_size for path in files) < 800_000
    assert PAIRS.stat().st_size < 400_000


def test_the_notice_credits_every_file() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for name in ("Banking77", "CC BY 4.0", "MMLU-Pro", "Apache License 2.0", "tau-bench", "MIT License"):
        assert name in notice
    assert PAIRS.name in notice
    credited = re.findall(r"\S*examples/\S+", notice)
    expanded = {name for pattern in credited for name in braces(pattern.rstrip(","))}
    shipped = {path.relative_to(ROOT).as_posix() for path in EXAMPLES.rglob("*.jsonl")}
    assert shipped == expanded


def braces(pattern: str) -> list[str]:
    """``a{b,c}`` as ``ab``, ``ac``."""
    match = re.fullmatch(r"(.*)\{(.*)\}(.*)", pattern)
    return [match[1] + part + match[3] for part in match[2].split(",")] if match else [pattern]
