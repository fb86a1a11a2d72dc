from __future__ import annotations

from pathlib import Path

import pytest

from shiftright import spec
from shiftright.core.spec import Spec

BASE = """\
feature: triage
run: triage:triage
cases: gate.jsonl
checks:
  right: {score: exact, at_least: 70%, max_drop: 3 points}
  time: {p95_at_most: 2 s}
confidence: {wrong_ship: 5%}
"""


@pytest.fixture
def base(tmp_path: Path) -> Spec:
    (tmp_path / "gate.jsonl").write_text("{}")
    return contract(tmp_path, BASE)


def contract(folder: Path, text: str) -> Spec:
    (folder / "spec.yaml").write_text(text)
    return spec.load(folder)


@pytest.mark.parametrize(
    ("old", "new", "said", "weakens"),
    [
        ("70%", "60%", "right: looser: at_least: 70% → at_least: 60%", True),
        ("70%", "80%", "right: tighter: at_least: 70% → at_least: 80%", False),
        ("3 points", "1 points", "right: tighter: max_drop: 3 points → max_drop: 1 point", False),
        ("2 s", "2500 ms", "time: looser: p95_at_most: 2 s → p95_at_most: 2.5 s", True),
        (", max_drop: 3 points", "", "right: removed: max_drop: 3 points", True),
        (
            "{p95_at_most: 2 s}",
            "{p95_at_most: 2 s, each_at_most: 3 s}",
            "time: added: each_at_most: 3 s",
            False,
        ),
        ("wrong_ship: 5%", "wrong_ship: 10%", "confidence: looser: wrong_ship: 5% → wrong_ship: 10%", True),
        (
            "wrong_ship: 5%",
            "wrong_block: 30%",
            "confidence: tighter: wrong_block: 20% → wrong_block: 30%",
            False,
        ),
        ("exact", "contains", "right: other: score: exact → score: contains", False),
        ("exact", "exact, field: a", "right: other: None → field: a", False),
        ("70%", "70%, comfortable: 90%", "right: other: comfortable: default → comfortable: 0.9", False),
        ("triage:triage", "triage:other", "run: other: triage:triage → triage:other", False),
    ],
)
def test_is_it_looser(base: Spec, old: str, new: str, said: str, weakens: bool) -> None:
    changes = spec.diff(base, contract(base.root, BASE.replace(old, new)))
    assert [str(change) for change in changes] == [said]
    assert changes[0].weakens is weakens


def test_nothing_changed(base: Spec) -> None:
    assert spec.diff(base, contract(base.root, "# comment\n" + BASE)) == []
