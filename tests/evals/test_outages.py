from __future__ import annotations

from pathlib import Path

import pytest
from projects import CODE, SPEC, Project, outage

from shiftright.errors import FeatureError, ProviderError


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "p")


def test_a_provider_that_is_down_stops_the_run(project: Project) -> None:
    code = CODE.replace(
        "    share =",
        "    from shiftright.errors import ProviderError\n    raise ProviderError('503')\n    share =",
    )
    (project.folder / "echo.py").write_text(code)
    with pytest.raises(ProviderError, match="20 provider failures in a row"):
        project.evaluate("same")


@pytest.mark.parametrize("cases", [4, 15, 400])
def test_an_outage_is_no_verdict(tmp_path: Path, cases: int) -> None:
    project = Project(tmp_path, spec=SPEC.replace("max_drop: 10 points", "at_least: 50%"), cases=cases)
    outage(project, "same")
    with pytest.raises(ProviderError, match="provider failures in a row"):
        project.evaluate("same")
    (project.folder / "down.log").unlink()
    back = project.evaluate("same")
    assert not back.stored
    assert back.verdict.merge == "yes"
    assert not any("failed" in reason for reason in back.verdict.reasons)


def test_a_baseline_that_never_answers_is_an_error_and_is_not_remembered(project: Project) -> None:
    outage(project, "old", "ImportError('missing')")
    with pytest.raises(FeatureError, match=r"the baseline failed on all \d+ cases.*missing"):
        project.evaluate("same")
    (project.folder / "down.log").unlink()
    assert project.evaluate("worse").verdict.verdict == "fail"


def test_failures_are_said_beside_the_verdict(project: Project) -> None:
    outage(project, "same", "ImportError('missing')")
    run = project.evaluate("same")
    assert (run.verdict.verdict, run.verdict.merge) == ("fail", "no")
    assert any("the candidate failed on" in reason and "missing" in reason for reason in run.verdict.reasons)


def test_a_resumed_run_counts_what_an_uninterrupted_one_counts(tmp_path: Path) -> None:
    """The baseline fails on the last two cases, which are all that the second run has to do."""
    order, whole, parts = (Project(tmp_path / name, cases=20) for name in ("order", "whole", "parts"))
    outage(order, "old", "ValueError('no')")
    (order.folder / "down.log").unlink()
    order.evaluate("same", concurrency=1)
    last = [call.removeprefix("old ") for call in order.calls if call.startswith("old ")][-2:]
    for project in (whole, parts):
        outage(project, "old", "ValueError('no')", texts=last)
    parts.evaluate("same", max_calls=36, concurrency=1)
    assert parts.evaluate("same").verdict.checks == whole.evaluate("same").verdict.checks


def test_added_cases_on_which_the_baseline_fails_are_evidence(tmp_path: Path) -> None:
    project = Project(tmp_path, cases=20)
    outage(project, "old", "ValueError('no')")
    (project.folder / "down.log").unlink()
    assert project.evaluate("same").verdict.checks[0].n == 20
    project.write_cases([project.case(i) for i in range(23)])
    (project.folder / "down.log").touch()
    assert project.evaluate("same").verdict.checks[0].n == 23
