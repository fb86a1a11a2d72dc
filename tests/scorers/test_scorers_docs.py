"""Every example of docs/scorers.md gives what it says, through the contract's own loader."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shiftright import scorers
from shiftright import spec as specs
from shiftright.core.answer import Answer
from shiftright.core.case import Case
from shiftright.core.score import ScoreContext
from shiftright.core.spec import Spec
from shiftright.scorers.judge import Judge

PAGE = Path(__file__).parents[2] / "docs" / "scorers.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
SECTIONS = {text.partition("\n")[0]: BLOCK.findall(text) for text in PAGE.read_text().split("\n## ")[1:]}
EXAMPLES = [
    (title, yaml, rows)
    for title, blocks in SECTIONS.items()
    for (kind, yaml), (after, rows) in pairwise(blocks)
    if (kind, after) == ("yaml", "json")
]


def contract(root: Path, check: str) -> Spec:
    (root / "cases.jsonl").write_text('{"input": "a"}\n')
    body = "".join(f"  {line}\n" for line in check.splitlines())
    (root / "spec.yaml").write_text(f"feature: f\nrun: f:f\ncases: cases.jsonl\nchecks:\n{body}")
    return specs.load(root)


@pytest.mark.parametrize(("title", "check", "rows"), EXAMPLES, ids=[title for title, _, _ in EXAMPLES])
def test_an_example_gives_what_the_page_says(tmp_path: Path, title: str, check: str, rows: str) -> None:
    for kind, text in SECTIONS[title]:
        if kind == "python":
            (tmp_path / "mine.py").write_text(text)
    spec = contract(tmp_path, check)
    scorer = scorers.build(spec.checks[0], spec)
    for line in rows.splitlines():
        row = json.loads(line)
        measured = {key: row[key] for key in ("latency_s", "cost_usd") if key in row}
        case = Case("c1", input="x", expected=row.get("expected"))
        found = scorer.score(ScoreContext(case, Answer(row["output"], **measured)))
        assert not inspect.isawaitable(found)
        assert found.value == row["score"], line


def test_the_judges_example_is_a_rubric_with_labels(tmp_path: Path) -> None:
    blocks: dict[str, Any] = dict(SECTIONS["judge"])
    (tmp_path / "polite.md").write_text(blocks["markdown"])
    (tmp_path / "polite.jsonl").write_text(blocks["jsonl"])
    rows = [{"case_id": "c1", "output": {"reason": "Warm.", "score": 4}}]
    (tmp_path / "judge.jsonl").write_text("\n".join(map(json.dumps, rows)))
    spec = contract(tmp_path, blocks["yaml"])
    judge = scorers.build(spec.checks[0], spec)
    assert isinstance(judge, Judge)
    assert [label.value for label in judge.labels] == [1.0, 0.0]
    assert asyncio.run(judge.score(ScoreContext(Case("c1", input="x"), Answer("Here.")))).value == 0.75


def test_every_built_in_has_a_section() -> None:
    from shiftright import plugins

    titles = " ".join(SECTIONS)
    assert [name for name in plugins.found("scorers") if name not in titles] == []
