"""Decisions that are taken up again: after cases came and went, after branches were merged, with other groups."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from projects import SPEC, Project

from shiftright.errors import StoreError, UsageError
from shiftright.evals.history import LOCK_NAME
from shiftright.evals.options import Options
from shiftright.evals.planning import plan_feature
from shiftright.evals.report.gather import gather
from shiftright.evals.report.markdown import to_markdown

RANDOM = """\
import random

async def echo(text: str) -> str:
    return text if random.random() < 0.7 else "wrong"
"""


def test_cases_that_were_added_and_used_may_go_again(tmp_path: Path) -> None:
    project = Project(tmp_path, cases=40)
    first = project.evaluate("same")
    project.write_cases([Project.case(i) for i in range(60)])
    grown = project.evaluate("same")
    project.write_cases([Project.case(i) for i in range(40)])
    back = project.evaluate("same")
    assert first.verdict.checks[0].n == back.verdict.checks[0].n == 40 < grown.verdict.checks[0].n
    assert project.evaluate("same").stored
    project.forget_records()
    assert project.evaluate("same").verdict == back.verdict


def test_two_branches_locks_may_be_merged(tmp_path: Path) -> None:
    project = Project(tmp_path, code=RANDOM)
    lock, lines = project.folder / LOCK_NAME, []
    for calls in (20, 30):
        project.forget_records()
        lock.unlink(missing_ok=True)
        project.evaluate("same", max_calls=calls)
        lines += lock.read_text().splitlines()
    lock.write_text("\n".join(dict.fromkeys(lines)))
    run = project.evaluate("same")
    assert run.verdict.checks[0].n > 15
    assert project.evaluate("same", new_decision=True).attempt == 2


def test_groups_may_be_named_while_a_decision_is_open(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.evaluate("worse", max_calls=20)
    project.write_cases([Project.case(i, group=f"g{i % 40}") for i in range(400)])
    run = project.evaluate("worse")
    assert run.verdict.checks[0].n <= 40
    assert any("groups of up to 10 cases have been added" in note for note in run.notes)


REGROUPED = [
    lambda i: None,
    lambda i: "one",
    lambda i: f"h{i % 80}",
    lambda i: f"renamed {i // 5}",
    lambda i: f"pair {i // 2}",
]


@pytest.mark.parametrize("group", REGROUPED)
@pytest.mark.parametrize("calls", [None, 60])
def test_used_cases_stay_in_the_groups_they_were_used_in(
    tmp_path: Path, group: Callable[[int], str | None], calls: int | None
) -> None:
    project = Project(tmp_path, cases=0)
    project.write_cases([Project.case(i, group=f"g{i // 5}") for i in range(400)])
    first = project.evaluate("worse", max_calls=calls)
    project.write_cases([Project.case(i, group=group(i)) for i in range(400)])
    again = project.evaluate("worse", max_calls=calls and 0)
    assert again.verdict.checks == first.verdict.checks
    assert again.stored or calls
    project.forget_records()
    assert project.evaluate("worse", max_calls=calls and 0).verdict.checks == first.verdict.checks
    assert project.evaluate("worse").attempt == 1


@pytest.mark.parametrize(("variant", "cases"), [("worse", 400), ("same", 40)])
def test_a_verdict_of_another_machine_is_shown_from_the_lock(
    tmp_path: Path, variant: str, cases: int
) -> None:
    project = Project(tmp_path, cases=cases)
    made = project.evaluate(variant)
    project.forget_records()
    stored = project.evaluate(variant)
    assert (stored.stored, stored.verdict.checks) == (True, made.verdict.checks)
    with project.records() as records:
        for name in (stored.run_id, stored.run_id[:-2]):
            report = gather(name, project.settings, records)
            assert report.verdict is not None
            assert (report.verdict.verdict, report.rows) == (made.verdict.verdict, made.verdict.checks)
            assert report.evidence[0].points[-1][0] == made.verdict.checks[0].n
            assert report.command == f"shiftright eval echo --variant {variant}"
        text = to_markdown(report)
        with pytest.raises(UsageError):
            gather("d-nothing", project.settings, records)
    assert f"**{made.verdict.verdict}**" in text
    assert "decided on another machine" in text


def edited(project: Project, change: Callable[[dict[str, Any]], object]) -> None:
    """The lock with its decision changed by hand, on a machine that has no records of it."""
    lock = project.folder / LOCK_NAME
    lines = lock.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if '"kind":"decision"' in line)
    entry = json.loads(lines[at])
    change(entry)
    lines[at] = json.dumps(entry)
    lock.write_text("\n".join(lines))
    project.forget_records()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpha", 0.9),
        ("beta", 0.9),
        ("red", 1e-9),
        ("bad", -0.9),
        ("good", 0.5),
        ("low", -0.5),
        ("high", 0.5),
    ],
)
@pytest.mark.parametrize("calls", [None, 60])
def test_a_test_that_was_edited_in_the_lock_is_refused(
    tmp_path: Path, name: str, value: float, calls: int | None
) -> None:
    project = Project(tmp_path)
    project.evaluate("worse", max_calls=calls)
    edited(project, lambda entry: entry["row"]["frozen"]["clauses"][0].update({name: value}))
    with pytest.raises(StoreError, match=f"right is tested with {name} {value}") as refused:
        project.evaluate("worse")
    assert refused.value.file == str(project.folder / LOCK_NAME)


@pytest.mark.parametrize(
    "checks",
    [
        "at_least: 70%",
        "at_most: 90%",
        "at_least: 50%, comfortable: 80%",
        "min_gain: 5 points",
        "max_drop: 3 points",
    ],
)
def test_a_test_that_nobody_edited_goes_on(tmp_path: Path, checks: str) -> None:
    project = Project(
        tmp_path,
        spec=SPEC.replace("max_drop: 10 points", checks).replace(
            "cases: cases.jsonl", "cases: {gate: cases.jsonl, dev: dev.jsonl}"
        ),
    )
    project.write_cases([Project.case(i) for i in range(1000, 1060)], "dev.jsonl")
    with project.records() as records:
        asyncio.run(plan_feature("echo", project.settings, records, Options(variant="same")))
    project.evaluate("same", max_calls=20)
    project.forget_records()
    project.evaluate("same", max_calls=20)
    assert project.evaluate("same", new_decision=True).attempt == 2
    project.forget_records()
    assert project.evaluate("same").attempt == 2


IMPOSSIBLE = {
    "used a case twice": lambda e: e["consumed"].__setitem__(1, {**e["consumed"][0], "position": 1}),
    "are not 0, 1, 2": lambda e: e["consumed"].reverse(),
    "positions": lambda e: e["consumed"].pop(2),
    "outside of its scale": lambda e: e["consumed"][0].update(candidate={"right": [5.0]}),
    "right outside": lambda e: e["consumed"][0].update(baseline={"right": [-0.1]}),
    "decided without a verdict": lambda e: e["row"].update(decided=True),
    "last group": lambda e: e["consumed"][-1].update(closes=False),
}


@pytest.mark.parametrize("says", IMPOSSIBLE)
def test_what_no_eval_writes_is_refused_with_its_line(tmp_path: Path, says: str) -> None:
    project = Project(tmp_path)
    project.evaluate("same", max_calls=40)
    edited(project, IMPOSSIBLE[says])
    with pytest.raises(StoreError, match=says) as refused:
        project.evaluate("same")
    assert refused.value.file == str(project.folder / LOCK_NAME)
    assert refused.value.line
