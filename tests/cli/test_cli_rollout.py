"""``shiftright rollout``: through the gate, where it stands, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Shiftright

SPEC = """\
feature: greet
cases: cases.jsonl
owner: {is: a@example.com, sign_off: [legal]}
variants:
  old: {model: "openai:old"}
  new: {model: "openai:new"}
baseline: old
checks:
  polite: {score: regex, pattern: please, at_least: 50%}
ship: {steps: [10%, 100%], back_if_drop: 10 points}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "cases.jsonl").write_text('{"input": "a", "expected": "a"}\n', encoding="utf-8")
    return tmp_path


def test_what_is_not_proven_is_not_rolled_out(project: Path, shiftright: Shiftright) -> None:
    refused = shiftright("rollout", "greet", "--start", "new", "--json")
    assert refused.code == 1
    assert [need["kind"] for need in refused.json["missing"]] == ["release", "verdict", "sign_off"]
    said = shiftright("rollout", "greet", "--start", "new")
    assert said.code == 1
    assert "shiftright release greet --variant new" in said.out
    assert "--override" in said.err
    assert shiftright("rollout", "greet", "--json").json == {"feature": "greet", "state": None}


def test_an_override_starts_it_and_it_can_be_taken_back(project: Path, shiftright: Shiftright) -> None:
    assert shiftright("release", "greet", "--variant", "new", "--by", "Ada").code == 0
    nameless = shiftright("rollout", "greet", "--start", "new", "--override", "a hurry")
    assert nameless.code == 3
    begun = shiftright(
        "rollout", "greet", "--start", "new", "--override", "a hurry", "--by", "Ada", "--json"
    ).json
    assert (begun["started"], begun["state"], begun["share"]) == (True, "canary", 0.1)
    assert begun["outlook"]["days"] is None
    assert "nothing was measured" in begun["outlook"]["checks"][0]["note"]
    again = shiftright("rollout", "greet", "--start", "new", "--override", "a hurry", "--by", "Ada")
    assert again.code == 3
    assert "is open already" in again.err
    status = shiftright("rollout", "greet", "--status", "--json").json
    assert status["evidence"]["units"] == {"control": 0, "canary": 0, "shadow": 0}
    assert [check["check"] for check in status["evidence"]["checks"]] == ["polite"]
    shown = shiftright("rollout", "greet")
    assert "step 1 of 2: 10 % of the users" in shown.out
    assert "polite: not measured yet" in shown.out
    assert "overridden by Ada: a hurry" in shown.out
    back = shiftright("rollout", "greet", "--back", "--by", "Ada", "--reason", "no", "--json").json
    assert (back["taken_back"], back["state"], back["by"]) == (True, "stopped", "Ada")
    assert "already" in shiftright("rollout", "greet", "--back").out


def test_two_questions_at_once_are_refused(project: Path, shiftright: Shiftright) -> None:
    assert shiftright("rollout", "greet", "--start", "new", "--back").code == 3
    assert shiftright("rollout", "greet", "--override", "x").code == 3
    assert shiftright("rollout", "greet", "--back").code == 3
