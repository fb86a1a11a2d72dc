"""The demo, its model replaced by plain code in a copy that the user changed: what was changed is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Shiftright = Callable[..., Any]
CHANGED = """\
feature: triage
run: triage:nearest
variants:
  three: {votes: 3}
  five: {votes: 5}
baseline: three
cases: {dev: dev.jsonl, gate: gate.jsonl}
checks:
  right: {score: exact, field: queue, max_drop: 10 points}
"""


def test_the_demo_shows_tables_reports_and_what_to_type_next(shiftright: Shiftright, tmp_path: Path) -> None:
    mine = tmp_path / "d" / "triage" / "spec.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text(CHANGED)
    found = shiftright("demo", "d")
    assert found.code == 0
    assert mine.read_text() == CHANGED
    assert "kept as you changed them: triage/spec.yaml" in found.out
    for words in (
        "MERGE?",
        "RELEASE?",
        "turns an unchanged run away",
        "three (baseline)",
        "What to type next",
    ):
        assert words in found.out
    page = tmp_path / "d" / "report-five.html"
    assert str(page) in found.out
    assert page.read_text().startswith("<!doctype html>")
    again = shiftright("demo", "d")
    assert again.code == 0


def test_what_to_type_next_can_be_typed_where_it_says(
    shiftright: Shiftright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d" / "triage").mkdir(parents=True)
    (tmp_path / "d" / "triage" / "spec.yaml").write_text(CHANGED)
    program = tmp_path / "venv" / "bin" / "shiftright"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    found = shiftright("demo", "d")
    assert "\n  ../venv/bin/shiftright show " in found.out
    assert "\n  ../venv/bin/shiftright init " in found.out
    monkeypatch.setenv("PATH", str(program.parent))
    assert "\n  shiftright init " in shiftright("demo", "d").out


def test_without_the_model_it_says_what_to_do_and_shows_the_rest(
    shiftright: Shiftright, tmp_path: Path
) -> None:
    mine = tmp_path / "d" / "triage" / "spec.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text(CHANGED + "  latency: {p95_at_most: 1 s}\n")
    mine.write_text(mine.read_text().replace("{votes: 5}", "{model: local:a-model-nobody-has}"))
    found = shiftright("demo", "d")
    assert found.code == 0
    assert "turns an unchanged run away" in found.out
    assert "shiftright doctor --install-model" in found.out
