"""Cases that share a document or a user: one unit, whatever happens in the middle of one."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from projects import SPEC, Project

from shiftright.core.verdict import Verdict
from shiftright.evals.options import EvalRun
from shiftright.evals.outlook import outlook

INVARIANT = SPEC + "  short: {score: regex, pattern: 'hello|wrong', never_fails: true}\n"


def grouped(folder: Path, *, groups: int = 60, spec: str = SPEC) -> Project:
    project = Project(folder, spec=spec, cases=0)
    project.write_cases(rows(groups))
    return project


def rows(groups: int) -> list[dict[str, Any]]:
    """Groups of one to four cases."""
    sizes = [g % 4 + 1 for g in range(groups)]
    return [
        Project.case(4 * g + k, **({"group": f"g{g}"} if size > 1 else {}))
        for g, size in enumerate(sizes)
        for k in range(size)
    ]


@cache
def uninterrupted(variant: str, spec: str) -> tuple[Verdict, int]:
    with tempfile.TemporaryDirectory() as folder:
        run = grouped(Path(folder), spec=spec).evaluate(variant)
    return run.verdict, run.verdict.checks[0].n


@settings(max_examples=15, deadline=None)
@given(
    variant=st.sampled_from(["same", "worse", "perfect"]),
    spec=st.sampled_from([SPEC, INVARIANT]),
    cuts=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    concurrency=st.integers(1, 9),
)
def test_an_interrupted_run_ends_like_one_that_was_not(
    variant: str, spec: str, cuts: list[int], concurrency: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = grouped(Path(folder), spec=spec)
        for cut in cuts:
            project.evaluate(variant, max_calls=cut, concurrency=concurrency)
        run = project.evaluate(variant, concurrency=concurrency)
        assert (run.verdict, run.verdict.checks[0].n) == uninterrupted(variant, spec)
        assert len(project.calls) == len(set(project.calls)), "nothing was paid for twice"


def test_a_group_that_was_cut_off_is_not_lost(tmp_path: Path) -> None:
    project = Project(tmp_path, cases=0)
    project.write_cases([Project.case(i, group=f"g{i // 10}") for i in range(100)])
    project.evaluate("same", max_calls=30)
    rest = project.evaluate("same")
    assert (rest.verdict.checks[0].n, rest.verdict.checks[0].cases) == (10, 100)
    assert not any("left out" in note for note in rest.notes)


def test_an_invariant_that_breaks_inside_a_group_ends_the_run_after_it(tmp_path: Path) -> None:
    spec = INVARIANT.replace("'hello|wrong'", "'hello [^7]*$'")
    project = grouped(tmp_path, spec=spec)
    run = project.evaluate("perfect")
    again = project.evaluate("perfect")
    assert (run.verdict.verdict, run.verdict.merge) == ("fail", "no")
    assert again.stored
    assert again.verdict == run.verdict


def test_groups_are_called_groups(tmp_path: Path) -> None:
    project = grouped(tmp_path / "p")
    seen = outlook(project.folder / "spec.yaml").checks[0].sentence
    assert "your 60 groups (150 cases) resolve" in seen
    run = project.evaluate("worse")
    row = run.verdict.checks[0]
    assert row.cases is not None
    assert row.cases > row.n
    assert f"on {row.n} groups ({row.cases} cases)" in row.reason


def test_larger_groups_that_are_added_begin_a_new_decision_under_the_same_number(tmp_path: Path) -> None:
    project = Project(tmp_path, cases=40)
    small = project.evaluate("same")
    many = [Project.case(100 + i, group=f"g{i // 20}") for i in range(200)]
    project.write_cases([Project.case(i) for i in range(40)] + many)
    grown = project.evaluate("same")
    assert (small.verdict.verdict, small.attempt, grown.attempt) == ("inconclusive", 1, 1)
    assert grown.verdict.checks[0].n <= 50
    assert any("groups of up to 20 cases have been added" in note for note in grown.notes)
    assert grown.run_id != small.run_id
    assert grown.verdict == project.evaluate("same").verdict


def test_yardsticks_are_in_calls_and_know_of_groups(tmp_path: Path) -> None:
    """Ten copies of each case in a group prove as much as the case alone, at ten times the calls."""

    def run(folder: str, copies: int) -> EvalRun:
        project = Project(tmp_path / folder, cases=0, spec=AT_LEAST)
        project.write_cases(
            [
                {"id": f"c{i}-{k}", "input": f"hello {i}", "expected": f"hello {i}", "group": f"g{i}"}
                for i in range(40)
                for k in range(copies)
            ]
        )
        return project.evaluate("perfect")

    one, ten = run("one", 1), run("ten", 10)
    assert one.calls.limit is not None
    assert one.calls.fixed_sample is not None
    assert ten.calls.limit is not None
    assert abs(ten.calls.limit - 10 * one.calls.limit) < 1e-6
    assert ten.calls.fixed_sample is not None
    assert abs(ten.calls.fixed_sample - 10 * one.calls.fixed_sample) <= 10
    assert one.verdict.checks[0].n == ten.verdict.checks[0].n


AT_LEAST = SPEC.replace("max_drop: 10 points", "at_least: 70%, comfortable: 90%")


def test_a_mean_without_a_limit_can_be_disproven_on_groups(tmp_path: Path) -> None:
    spec = SPEC.replace("right: {score: exact, max_drop: 10 points}", "cost: {mean_at_most: 0.001 USD}")
    run = grouped(tmp_path, spec=spec).evaluate("same")
    assert (run.verdict.verdict, run.verdict.merge) == ("inconclusive", "yes")
