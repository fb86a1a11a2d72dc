from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from projects import CODE, SPEC, Project, outage

from shiftright.errors import BaselineStale
from shiftright.evals.recheck import ShiftTest


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Its baseline is another model behind the same name once the file ``swapped.log`` is there."""
    code = CODE.replace(
        "    share =",
        "    if settings.name == 'old' and CALLS.with_name('swapped.log').exists():\n        return '?'\n    share =",
    )
    # a narrow margin makes decisions long enough for some of the baseline to be asked again
    spec = SPEC.replace("10 points", "1 points").replace("flip: 0.0}", "flip: 0.1003}")
    return Project(tmp_path / "p", spec=spec, code=code, cases=2_000)


def swap(project: Project) -> None:
    (project.folder / "swapped.log").touch()


def test_a_baseline_that_has_changed_is_found_and_runs_afresh(project: Project) -> None:
    project.evaluate("same")
    swap(project)
    with pytest.raises(BaselineStale, match="no longer scores on right"):
        project.evaluate("perfect")
    fresh = project.evaluate("perfect")
    assert fresh.calls.baseline_made >= fresh.calls.made
    assert fresh.verdict.verdict == "pass"
    assert project.evaluate("perfect").stored


@pytest.mark.parametrize("memory", ["lock", "records"])
def test_either_memory_keeps_stale_answers_set_aside(project: Project, memory: str) -> None:
    project.evaluate("same")
    swap(project)
    with pytest.raises(BaselineStale):
        project.evaluate("perfect")
    if memory == "lock":
        project.forget_records()
    else:
        (project.folder / "shiftright.lock").unlink()
    asked = len(project.calls)
    fresh = project.evaluate("perfect")
    assert fresh.verdict.checks[0].estimate > 0.8
    old = [call for call in project.calls[asked:] if call.startswith("old ")]
    assert len(old) == len(set(old)) >= fresh.verdict.checks[0].n


def test_attempts_and_proven_harm_outlive_the_answers_they_were_made_on(project: Project) -> None:
    project.evaluate("same")
    assert project.evaluate("worse").verdict.merge == "no"
    assert project.evaluate("worse", new_decision=True).attempt == 2
    swap(project)
    with pytest.raises(BaselineStale):
        project.evaluate("perfect")
    again = project.evaluate("worse")
    assert (again.stored, again.attempt) == (False, 2)
    assert (again.verdict.verdict, again.verdict.merge) == ("pass", "no")
    assert "attempt 1 on these cases has proven harm" in again.verdict.reasons[0]


@pytest.mark.parametrize("failure", ["ProviderError('503')", "ValueError('no')"])
def test_a_recheck_that_fails_is_no_alarm_and_is_said(tmp_path: Path, failure: str) -> None:
    project = Project(tmp_path)
    outage(project, "old", failure)
    (project.folder / "down.log").unlink()
    project.evaluate("same")
    worse = project.evaluate("worse")
    (project.folder / "down.log").touch()
    run = project.evaluate("perfect")
    assert run.verdict.verdict == "pass"
    assert any("asked again" in reason and "failed on" in reason for reason in run.verdict.reasons)
    (project.folder / "down.log").unlink()
    assert project.evaluate("worse").stored
    assert project.evaluate("worse").verdict == worse.verdict


def alarms(drop: float, flaky: float, cases: int, runs: int, seed: int) -> float:
    """How often a baseline that is right on 80 % is found stale after losing ``drop``; ``flaky``: the share of cases
    whose answers are drawn anew each time."""
    draw = np.random.default_rng(seed)

    def alarmed() -> bool:
        old = draw.random(cases) < 0.8
        new = np.where(draw.random(cases) < flaky, draw.random(cases) < 0.8, old)
        new &= draw.random(cases) >= drop / 0.8
        test = ShiftTest()
        return any(test.update(x) for x in (new * 1.0 - old).tolist())

    return sum(alarmed() for _ in range(runs)) / runs


def test_a_moderate_shift_is_found_and_false_alarms_are_rare() -> None:
    assert alarms(drop=0.15, flaky=0.0, cases=100, runs=60, seed=1) >= 0.9
    assert alarms(drop=0.10, flaky=0.0, cases=200, runs=40, seed=2) >= 0.9
    assert alarms(drop=0.15, flaky=0.25, cases=200, runs=40, seed=3) >= 0.75
    # at most 1 %, and two standard errors
    assert alarms(drop=0.0, flaky=0.25, cases=200, runs=200, seed=4) <= 0.01 + 2 * (0.01 * 0.99 / 200) ** 0.5
