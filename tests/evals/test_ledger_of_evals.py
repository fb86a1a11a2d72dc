"""Decisions that are taken up again: after cases came and went, after branches were merged, with other groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from projects import Project

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
