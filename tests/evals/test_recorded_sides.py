"""``recorded:`` on either side: what is in a file cannot drift, and there is no more of it than was recorded."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from projects import Project

from shiftright.errors import UsageError
from shiftright.evals.options import Options
from shiftright.evals.planning import plan_feature

SPEC = """\
feature: echo
baseline: old
variants:
  old: {model: "recorded:old.jsonl"}
  new: {model: "recorded:new.jsonl"}
  other: {model: "recorded:other.jsonl"}
cases: {gate: cases.jsonl, dev: dev.jsonl}
checks:
  right: {score: exact, max_drop: 10 points}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path, spec=SPEC, cases=300)
    made.write_cases([Project.case(i) for i in range(1000, 1060)], "dev.jsonl")
    for name in ("old", "new", "other"):
        record(made, name, [0])
    return made


def record(project: Project, name: str, repeats: list[int]) -> None:
    seed = random.Random(name)
    rows = [
        {"case_id": f"c{i}", "repeat": repeat, "output": f"hello {i}" if seed.random() < 0.9 else "wrong"}
        for repeat in repeats
        for i in [*range(300), *range(1000, 1060)]
    ]
    project.write_cases(rows, f"{name}.jsonl")


def test_every_candidate_is_decided_against_a_recorded_baseline(project: Project) -> None:
    runs = [project.evaluate(name) for name in ("new", "other")]
    assert all(run.verdict.verdict in ("pass", "fail") for run in runs)


def test_a_plan_with_a_recorded_baseline_assumes_its_variances(project: Project) -> None:
    with project.records() as records:
        plan = asyncio.run(plan_feature("echo", project.settings, records, Options(variant="new")))
    assert (plan.sample, plan.run_id) == (0, None)


def test_another_attempt_needs_answers_that_no_earlier_one_has_used(project: Project) -> None:
    first = project.evaluate("new")
    with pytest.raises(UsageError, match="without answers of repeat 1") as refused:
        project.evaluate("new", new_decision=True)
    assert '"repeat": 1' in (refused.value.hint or "")
    assert project.evaluate("new").verdict == first.verdict, "no attempt was begun"
    with pytest.raises(UsageError, match="without answers of repeat 1, 2"):
        project.evaluate("other", repeats=3)


def test_a_recording_of_two_repeats_serves_two_repeats(project: Project) -> None:
    record(project, "new", [0, 1])
    assert project.evaluate("new", repeats=2).verdict.verdict == "pass"
