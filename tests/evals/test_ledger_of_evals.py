"""Decisions that are taken up again: after cases came and went, after branches were merged, with other groups."""

from __future__ import annotations

from pathlib import Path

from projects import SPEC, Project

from shiftright.evals.history import LOCK_NAME

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
