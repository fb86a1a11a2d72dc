"""``compare``, ``aa``, ``plan``, and what paid calls are said to cost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

Shiftright = Callable[..., Any]
EXAMPLES = Path(str(files("shiftright"))) / "examples" / "compare"


def write(path: Path, scores: list[float]) -> str:
    rows = [{"case_id": f"c{i}", "score": score, "output": f"o{i}"} for i, score in enumerate(scores)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_compare_answers_on_two_files(shiftright: Shiftright, tmp_path: Path) -> None:
    old = write(tmp_path / "old.jsonl", [1.0] * 300)
    new = write(tmp_path / "new.jsonl", [0.0 if i % 2 else 1.0 for i in range(300)])
    worse = shiftright("compare", old, new, "--json")
    assert (worse.code, worse.json["verdict"], worse.json["merge"]) == (1, "fail", "no")
    shown = shiftright("compare", old, new)
    assert shown.code == 1
    assert shown.out.startswith("new.jsonl against old.jsonl")
    few = shiftright(
        "compare", write(tmp_path / "a.jsonl", [1.0] * 20), write(tmp_path / "b.jsonl", [1.0] * 20), "--json"
    )
    assert (few.code, few.json["verdict"], few.json["merge"]) == (2, "inconclusive", "yes")


def test_compare_names_the_cases_one_file_lacks_and_some_that_were_fixed(
    shiftright: Shiftright, tmp_path: Path
) -> None:
    old = write(tmp_path / "old.jsonl", [1.0] * 300 + [0.0] * 63)
    found = shiftright("compare", old, write(tmp_path / "new.jsonl", [1.0] * 300))
    assert found.code == 2
    assert "63 cases only in the old file" in found.out.splitlines()[0]
    assert "63 cases of the old file are missing" in found.out
    risen = shiftright("compare", old, write(tmp_path / "risen.jsonl", [1.0] * 363))
    fixed = risen.out[risen.out.index("fixed (63)") :]
    assert "c300" in fixed
    assert "… and 61 more (all with --json)" in fixed


@pytest.mark.parametrize(
    ("given", "margin"), [("10 points", 0.1), ("3%", 0.03), ("0.05", 0.05), ("1 point", 0.01)]
)
def test_margins(shiftright: Shiftright, given: str, margin: float) -> None:
    files = [str(EXAMPLES / name) for name in ("mixtral-8x7b-instruct-v0.1.jsonl", "mathstral-7b.jsonl")]
    assert shiftright("compare", *files, "--margin", given, "--json").json["margin"] == pytest.approx(margin)


@pytest.mark.parametrize("given", ["much", "0", "-3 points", "nan", "200%"])
def test_margins_that_are_none(shiftright: Shiftright, given: str) -> None:
    found = shiftright("compare", "a", "b", f"--margin={given}", "--json")
    assert found.code == 3
    assert "is no drop" in found.json["error"]["message"]


def test_aa_of_files_and_of_a_feature_without_repeats(shiftright: Shiftright) -> None:
    trials = sorted(str(path) for path in EXAMPLES.glob("unchanged-*.jsonl"))
    found = shiftright("aa", *trials, "--json")
    assert found.code == 0
    assert found.json["gates"][-1]["ours"] is True
    assert found.json["gates"][-1]["flips"] < found.json["gates"][0]["flips"]
    shown = shiftright("aa", *trials)
    assert "turns an unchanged run away" in shown.out
    shiftright("init")
    lacking = shiftright("aa", "triage")
    assert lacking.code == 3
    assert "shiftright" in lacking.err


def test_plan_measures_and_says_what_it_takes(shiftright: Shiftright) -> None:
    shiftright("init")
    found = shiftright("plan", "triage", "--variant", "words", "--json")
    assert found.code == 0
    assert {clause["plan"]["check"] for clause in found.json["clauses"]} == {"right", "latency"}
    right, latency = sorted(found.json["clauses"], key=lambda clause: clause["plan"]["check"] == "latency")
    assert right["plan"]["fixed_n"] > 0 < right["resolvable"]
    # a 95 % limit counts calls in time: no fixed-size test and no gap are its own
    assert (latency["plan"]["fixed_n"], latency["resolvable"], latency["limit_if_equal"]) == (
        None,
        None,
        None,
    )
    shown = shiftright("plan", "triage", "--variant", "words")
    assert "your 30 cases resolve" in shown.out
    several = shiftright("plan", "triage").out
    assert "next: shiftright eval triage --variant words\n" in several
    [row] = [line.split() for line in several.splitlines() if line.startswith("latency p95_at_most")]
    [needed] = re.findall("about ([0-9]+) prove it", several)
    assert (row[2], row[3], row[-1]) == ("–", needed, "–")


def test_the_first_plan_needs_no_variant_and_says_what_it_costs(
    shiftright: Shiftright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shiftright("init")
    spec = tmp_path / "triage" / "spec.yaml"
    first = shiftright("plan", "triage")
    assert (first.code, "paid calls" in first.err) == (0, False)
    paid = "model: gpt-x, base_url: 'http://127.0.0.1:9/v1', prompt: prompts/ask.md"
    text = spec.read_text().replace("model: local:smollm2-135m, prompt: prompts/ask.md", f"{paid}, PRICE")
    spec.write_text(text.replace("PRICE", "price: {input: 10 USD/M, output: 30 USD/M}"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    found = shiftright("plan", "triage", "--baseline", "model", "--max-calls", "0")
    assert "for 0 calls of gpt-x" in found.err, found


def test_the_expected_cost_is_said_before_paid_calls(
    shiftright: Shiftright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shiftright("init")
    spec = tmp_path / "triage" / "spec.yaml"
    # nothing listens on port 9: the calls fail, what matters is said before them
    paid = "model: gpt-x, base_url: 'http://127.0.0.1:9/v1', prompt: prompts/ask.md"
    text = spec.read_text().replace("model: local:smollm2-135m, prompt: prompts/ask.md", f"{paid}, PRICE")
    spec.write_text(text.replace("PRICE", "price: {input: 10 USD/M, output: 30 USD/M}"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    found = shiftright("eval", "triage", "--variant", "model", "--max-calls", "0")
    assert found.code == 2
    assert "for 0 calls" in found.err
    assert "paid calls: at most about" in found.err
    assert "USD" in found.err
    plain = shiftright("eval", "triage", "--variant", "words", "--max-calls", "0")
    assert "paid calls" not in plain.err
