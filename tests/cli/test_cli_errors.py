"""Errors: exit code 3, plain words on stderr or one JSON document on stdout, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Shiftright = Callable[..., Any]


@pytest.mark.parametrize(
    "words",
    [
        ["evla", "x"],
        ["eval"],
        ["eval", "x", "--max-calls", "many"],
        ["eval", "x", "--limit", "0"],
        ["eval", "x", "--max-cost", "inf"],
        ["eval", "x", "--max-cost", "nan"],
        ["plan", "x", "--max-cost", "-1"],
        ["eval", "x", "--nope"],
        ["eval", "nothing_here"],
        ["check"],
        ["check", "missing.yaml"],
        ["run", "x"],
        ["show", "r-nope"],
        ["report", "r-nope"],
        ["compare", "a.json", "b.json"],
        ["aa", "a.json", "b.json"],
        ["eval", "x", "--limit", "3", "--suite-mode"],
        ["init", "--from", "missing.csv"],
    ],
    ids=" ".join,
)
def test_errors_are_3_in_words_and_as_json(shiftright: Shiftright, words: list[str]) -> None:
    said = shiftright(*words)
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err
    coded = shiftright(*words, "--json")
    assert coded.code == 3
    if "No such option: --json" not in coded.out:
        assert coded.json["error"].keys() == {"code", "message", "file", "line", "hint"}
        assert coded.json["error"]["message"]


def test_a_fault_of_the_program_is_said_with_its_place(
    shiftright: Shiftright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a folder where the lock belongs is nothing this program expects
    shiftright("init")
    (tmp_path / "shiftright.lock").mkdir()
    found = shiftright("eval", "triage", "--variant", "words", "--json")
    assert found.code == 3
    assert found.json["error"]["code"] in ("unexpected", "store")
    monkeypatch.setenv("SHIFTRIGHT_DEBUG", "1")
    assert "Traceback" in shiftright("eval", "triage", "--variant", "words").err


def test_every_contract_s_error_is_shown(shiftright: Shiftright, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "spec.yaml").write_text(f"feature: {name}\nrnu: x:y\n")
    shiftright("init", "fine")
    said = shiftright("check")
    assert said.code == 3
    assert said.err.count("error: ") == 2
    assert "fine" in said.out
    found = shiftright("check", "--json").json
    assert [feature["feature"] for feature in found["features"]] == ["fine"]
    assert len(found["errors"]) == 2
    assert found["error"] == found["errors"][0]
    assert found["error"]["line"] == 2


def test_names_cannot_drive_the_terminal(shiftright: Shiftright) -> None:
    shiftright("init", "\x1b[31mred\x07")
    said = shiftright("init", "\x1b[31mred\x07")
    assert said.code == 3
    assert "\x1b" not in said.err
    assert "␛[31mred␇" in said.err


def test_a_limit_on_cost_that_limits_nothing_is_refused(shiftright: Shiftright) -> None:
    shiftright("init")
    said = shiftright("eval", "triage", "--variant", "words", "--max-cost", "inf")
    assert said.code == 3
    assert "not inf" in said.err
    assert "leave the limit out" in said.err
    assert shiftright("plan", "triage", "--max-cost", "nan").code == 3
