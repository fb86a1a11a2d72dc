"""``shiftright incidents`` and ``incident``, from seeing one to its postmortem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shiftright.settings import Settings
from shiftright.store import open_records

SPEC = """\
feature: echo
run: echo:echo
cases: {gate: gate.jsonl, must: must.jsonl}
owner: {is: ann@example.com}
checks:
  right: {score: exact, at_least: 10%}
"""


@pytest.fixture
def project(shiftright: Any, tmp_path: Path) -> Any:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "echo.py").write_text("def echo(text):\n    return text\n")
    for name in ("gate", "must"):
        (tmp_path / f"{name}.jsonl").write_text('{"id": "m1", "input": "a", "expected": "a"}\n')
    return shiftright


def opened(folder: Path) -> str:
    with open_records(Settings.load(folder, env={}).records_url) as records:
        subject = {"traces": ["a" * 32], "reason": "below"}
        return records.incidents.open("check", "echo", "right", "right: below", subject, owner="ann").id


def test_an_incident_from_seeing_it_to_its_postmortem(project: Any, tmp_path: Path) -> None:
    assert "No incident is open" in project("incidents").out
    incident = opened(tmp_path)
    assert incident in project("incidents", "echo").out
    (listed,) = project("incidents", "--json").json["incidents"]
    assert (listed["id"], listed["status"]) == (incident, "open")
    shown = project("incident", incident)
    assert f"shiftright trace {'a' * 32}" in shown.out
    assert "--no-case REASON" in shown.err
    assert project("incident", incident, "--ack", "--by", "ann", "--json").json["incident"]["status"] == (
        "acknowledged"
    )
    assert "## Timeline" in project("incident", incident, "--postmortem").out
    closed = project("incident", incident, "--close", "--by", "ann", "--case", "m1", "--json").json
    assert (closed["incident"]["status"], closed["incident"]["case_id"]) == ("closed", "m1")
    assert "closed with case m1" in project("incident", incident, "--postmortem").out.replace("\\", "")
    assert "1 closed: --all shows them" in project("incidents").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--close", "--by", "ann"), "`must` case that came of it"),
        (("--close", "--by", "ann", "--case", "m2"), "no `must` case 'm2'"),
        (("--close", "--by", "ann", "--case", "m1", "--no-case", "x"), "`must` case that came of it"),
        (("--case", "m1"), "belong to --close"),
        (("--ack", "--close"), "two moments"),
    ],
)
def test_what_cannot_be_done_says_the_way_out(
    project: Any, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    incident = opened(tmp_path)
    result = project("incident", incident, *arguments)
    assert (result.code, said in result.err) == (3, True)
    assert project("incident", incident, "--json").json["incident"]["status"] == "open"
