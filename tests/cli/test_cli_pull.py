"""``pull``: through the entry point, into a project, over a server of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "improve"))

from langfuse_server import Project, generation, item, score, served, trace


def test_pull_then_draft(shiftright: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    project = Project()
    words = ("where is my parcel", "refund the broken lamp", "a new password please", "cancel all of it")
    right = [score("right", 1, dataType="BOOLEAN", source="ANNOTATION")]
    for number, said in enumerate(words, 1):
        call = generation(number, input=[{"role": "user", "content": said}])
        project.traces.append(trace(number, observations=[call], scores=right))
    project.items = [item(1), item(2)]
    with served(project) as url:
        for name, value in project.environment(url).items():
            monkeypatch.setenv(name, value)
        found = shiftright("pull", "langfuse", "--correct", "right", "--json")
        assert (found.code, found.err) == (0, "")
        assert (found.json["traces"], found.json["spans"], found.json["scores"]) == (4, 8, 4)
        again = shiftright("pull", "langfuse", "--correct", "right")
        assert "4 traces with 8 spans, 0 new scores" in again.out
        cases = shiftright("pull", "langfuse", "--dataset", "support set")
        assert "wrote 2 cases to support-set.jsonl" in cases.out
        assert shiftright("pull", "langfuse", "--dataset", "support set").code == 3
    assert len(shiftright("traces", "--json").json["data"]) == 4
    assert shiftright("draft", "--feature", "triage").code == 0
    assert '"expected":"delivery"' in (tmp_path / "triage" / "gate.jsonl").read_text()


def test_pull_says_what_is_missing(shiftright: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LANGFUSE_PUBLIC_KEY", raising=False)
    told = shiftright("pull", "langfuse", "--json")
    assert (told.code, told.json["error"]["code"]) == (3, "credentials")
    assert "Did you mean 'langfuse'" in shiftright("pull", "langfus").err
