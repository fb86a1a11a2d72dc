from __future__ import annotations

from pathlib import Path

import pytest
from projects import CODE, SPEC, Project, outage

from shiftright.errors import FeatureError, ProviderError, ScorerError


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "p")


def test_a_provider_that_is_down_stops_the_run(project: Project) -> None:
    code = CODE.replace(
        "    share =",
        "    from shiftright.errors import ProviderError\n    raise ProviderError('503')\n    share =",
    )
    (project.folder / "echo.py").write_text(code)
    with pytest.raises(ProviderError, match="provider failures in a row"):
        project.evaluate("same")


@pytest.mark.parametrize("cases", [4, 15, 400])
def test_an_outage_is_no_verdict(tmp_path: Path, cases: int) -> None:
    project = Project(tmp_path, spec=SPEC.replace("max_drop: 10 points", "at_least: 50%"), cases=cases)
    outage(project, "same")
    with pytest.raises(ProviderError, match="provider fail"):
        project.evaluate("same")
    (project.folder / "down.log").unlink()
    back = project.evaluate("same")
    assert not back.stored
    assert back.verdict.merge == "yes"
    assert not any("failed" in reason for reason in back.verdict.reasons)


def test_a_baseline_that_never_answers_is_an_error_and_is_not_remembered(project: Project) -> None:
    outage(project, "old", "ImportError('missing')")
    with pytest.raises(FeatureError, match=r"the baseline failed on \d+ cases in a row.*missing"):
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


@pytest.mark.parametrize("added", [2, 3])
def test_a_short_tail_on_which_the_baseline_fails_is_evidence(tmp_path: Path, added: int) -> None:
    project = Project(tmp_path, cases=20)
    outage(project, "old", "ValueError('no')")
    (project.folder / "down.log").unlink()
    assert project.evaluate("same").verdict.checks[0].n == 20
    project.write_cases([project.case(i) for i in range(20 + added)])
    (project.folder / "down.log").touch()
    if added == 2:
        assert project.evaluate("same").verdict.checks[0].n == 22
    else:
        with pytest.raises(FeatureError, match="the baseline failed on 3 cases in a row"):
            project.evaluate("same")


def test_a_baseline_that_dies_makes_no_candidate_better(tmp_path: Path) -> None:
    """It answers 30 cases, then its index is gone."""
    project = Project(tmp_path)
    outage(project, "old", "ValueError('no index')")
    (project.folder / "down.log").unlink()
    project.evaluate("worse", max_calls=20, concurrency=1)
    (project.folder / "down.log").touch()
    with pytest.raises(FeatureError, match=r"the baseline failed on \d+ cases in a row.*no index"):
        project.evaluate("worse", concurrency=1)
    (project.folder / "down.log").unlink()
    run = project.evaluate("worse")
    assert run.verdict.verdict == "fail"
    assert not any("failed on" in reason for reason in run.verdict.reasons)


JUDGED = """

def right(output: str, expected: object = None) -> float:
    if CALLS.with_name("judge.log").exists():
        raise ValueError("the judge is down")
    return float(output == expected)
"""


def judged(folder: Path) -> Project:
    spec = SPEC.replace("score: exact", 'score: "judge:right"')
    project = Project(folder, spec=spec)
    (folder / "judge.py").write_text("from pathlib import Path\nCALLS = Path(__file__)\n" + JUDGED)
    return project


def test_a_scorer_that_is_down_is_no_verdict_and_is_not_remembered(tmp_path: Path) -> None:
    project = judged(tmp_path)
    (tmp_path / "judge.log").touch()
    with pytest.raises(ScorerError, match=r"the scorer of right failed on \d+ cases in a row.*is down"):
        project.evaluate("same")
    lock = tmp_path / "shiftright.lock"
    assert not lock.exists() or "null]" not in lock.read_text()
    (tmp_path / "judge.log").unlink()
    assert project.evaluate("same").verdict.merge == "yes"
    project.forget_records()
    assert project.evaluate("perfect").verdict.verdict == "pass"


def test_a_scorer_that_stumbles_over_the_candidate_is_evidence(tmp_path: Path) -> None:
    project = judged(tmp_path)
    text = (tmp_path / "judge.py").read_text()
    (tmp_path / "judge.py").write_text(
        text.replace('CALLS.with_name("judge.log").exists()', 'output == "wrong"')
    )
    run = project.evaluate("worse")
    assert (run.verdict.verdict, run.verdict.merge) == ("fail", "no")
    assert any("the scorer of right failed on" in reason for reason in run.verdict.reasons)


def broken(project: Project, there: bool) -> None:
    """A variable that every variant needs is not set, or is."""
    text = CODE.replace(
        "    share =",
        "    if not CALLS.with_name('set').exists():\n        raise KeyError('KEY')\n    share =",
    )
    (project.folder / "echo.py").write_text(text)
    set_ = project.folder / "set"
    set_.touch() if there else set_.unlink(missing_ok=True)


def test_a_broken_environment_is_not_the_candidates_fault(tmp_path: Path) -> None:
    """The baseline's scores are remembered, so it need not run; it is asked whether it could."""
    project = Project(tmp_path)
    broken(project, there=True)
    project.evaluate("same")
    project.forget_records()
    broken(project, there=False)
    with pytest.raises(FeatureError, match=r"the baseline failed on \d+ cases in a row.*KEY"):
        project.evaluate("perfect")
    broken(project, there=True)
    assert project.evaluate("perfect").verdict.verdict == "pass"


def test_a_candidate_that_cannot_answer_where_the_baseline_can_has_failed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    outage(project, "perfect", "ImportError('missing')")
    project.evaluate("same")
    project.forget_records()
    before = len(project.calls)
    run = project.evaluate("perfect")
    assert (run.verdict.verdict, run.verdict.merge) == ("fail", "no")
    assert any("asked again" in reason for reason in run.verdict.reasons) is False
    assert 0 < sum(call.startswith("old ") for call in project.calls[before:]) <= 8 + len(project.calls) // 20
