from __future__ import annotations

from pathlib import Path

import pytest
from projects import CODE, SPEC, Project, outage

from shiftright.errors import ProviderError, ScorerError

MUST = SPEC.replace("cases: cases.jsonl", "cases: {gate: cases.jsonl, must: must.jsonl}")
HEAD = MUST[: MUST.index("checks:")]


def project_of(folder: Path, spec: str, code: str = CODE, must: int = 3) -> Project:
    project = Project(folder, spec=spec, code=code)
    project.write_cases([project.case(i) for i in range(1000, 1000 + must)], "must.jsonl")
    return project


def test_a_new_must_case_is_looked_at_although_the_gate_is_decided(tmp_path: Path) -> None:
    spec = SPEC.replace("cases: cases.jsonl", "cases: {gate: cases.jsonl, must: must.jsonl}")
    project = Project(tmp_path, spec=spec)
    project.write_cases([project.case(1000, expected="hello 1000")], "must.jsonl")
    assert project.evaluate("perfect").verdict.verdict == "pass"
    project.write_cases([project.case(1000), project.case(1001, expected="what it never says")], "must.jsonl")
    failed = project.evaluate("perfect")
    assert (failed.verdict.verdict, failed.verdict.merge) == ("fail", "no")
    assert "c1001" in failed.verdict.reasons[0]
    assert failed.calls.made <= 1
    project.write_cases([project.case(1000), project.case(1001)], "must.jsonl")
    assert project.evaluate("perfect").verdict.verdict == "pass"


def test_a_must_case_that_raises_fails_although_nothing_scores_outputs(tmp_path: Path) -> None:
    code = CODE.replace(
        "    share =", "    if text == 'hello 1001':\n        raise ValueError('broken')\n    share ="
    )
    project = project_of(tmp_path, HEAD + "checks:\n  latency: {p95_at_most: 2 s}\n", code)
    run = project.evaluate("perfect")
    assert (run.verdict.verdict, run.verdict.merge) == ("fail", "no")
    assert "c1001" in run.verdict.reasons[0]


def toxic(said: str) -> str:
    return (
        CODE
        + f"""

def toxic(output: str, expected: object = None) -> float:
    if output == "hello 1001":
        {said}
    return 0.0
"""
    )


@pytest.mark.parametrize("broken", ["raise RuntimeError('no')", "return None"])
def test_a_must_case_that_could_not_be_measured_has_neither_passed_nor_failed(
    tmp_path: Path, broken: str
) -> None:
    spec = HEAD + 'checks:\n  toxic: {score: "echo:toxic", at_most: 20%}\n'
    project = project_of(tmp_path, spec, toxic(broken))
    with pytest.raises(ScorerError, match=r"the scorer of toxic failed on 1 must case \(c1001\)"):
        project.evaluate("perfect")
    (project.folder / "echo.py").write_text(toxic("return 0.1"))
    assert project.evaluate("perfect").verdict.merge == "yes"


def test_a_must_case_above_a_limit_has_not_passed(tmp_path: Path) -> None:
    spec = HEAD + 'checks:\n  toxic: {score: "echo:toxic", at_most: 20%}\n'
    run = project_of(tmp_path, spec, toxic("return 0.9")).evaluate("perfect")
    assert (run.verdict.verdict, run.verdict.merge) == ("fail", "no")
    assert "1 of 3 must cases failed: c1001" in run.verdict.reasons[0]


def test_an_outage_on_a_must_case_is_an_error_and_is_asked_again(tmp_path: Path) -> None:
    project = project_of(tmp_path, MUST, must=20)
    outage(project, "perfect", "ProviderError('503')", texts=["hello 1003"])
    with pytest.raises(ProviderError, match=r"the provider failed on 1 must case \(c1003\), the last: 503"):
        project.evaluate("perfect")
    (project.folder / "down.log").unlink()
    back = project.evaluate("perfect")
    assert (back.verdict.verdict, back.verdict.merge) == ("pass", "yes")
    assert len([call for call in project.calls if call == "perfect hello 1002"]) == 1


def test_a_failed_must_case_is_a_failure_whatever_the_provider_does(tmp_path: Path) -> None:
    project = project_of(tmp_path, MUST)
    project.write_cases([project.case(1000), project.case(1001, expected="else")], "must.jsonl")
    outage(project, "perfect", "ProviderError('503')", texts=["hello 1000"])
    run = project.evaluate("perfect")
    assert run.verdict.merge == "no"
    assert "1 of 1 must case failed: c1001" in run.verdict.reasons[0]
    assert any("503" in reason for reason in run.verdict.reasons)
