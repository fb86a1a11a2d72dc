"""``check``: what the cases there are can decide, and what to beware of, before anything runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Shiftright = Callable[..., Any]
SPEC = """\
feature: f
run: code:f
cases: cases.jsonl
checks:
  right: {score: exact, at_least: 70%}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "code.py").write_text("raise RuntimeError('check must not run this')\ndef f(x): return x\n")
    rows = [{"id": f"c{i}", "input": f"a question of some length, number {i}"} for i in range(120)]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


def write(project: Path, checks: str, more: str = "") -> None:
    (project / "spec.yaml").write_text(SPEC[: SPEC.index("  right")] + checks + more)


def test_what_the_cases_can_resolve(shiftright: Shiftright, project: Path) -> None:
    write(
        project, "  right: {score: exact, max_drop: 3 points}\n  wide: {score: exact, max_drop: 40 points}\n"
    )
    found = shiftright("check", "f")
    assert found.code == 0
    assert "your 120 cases resolve" in found.out
    assert "3 points need about" in found.out
    assert "your 120 cases suffice" in found.out
    right, wide = shiftright("check", "f", "--json").json["features"][0]["checks"]
    assert (right["enough"], wide["enough"]) == (False, True)
    assert right["needed"] > 120 > wide["needed"]


def test_groups_count_once(shiftright: Shiftright, project: Path) -> None:
    rows = [{"id": f"c{i}", "input": f"t{i}", "group": f"g{i % 10}"} for i in range(120)]
    (project / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert shiftright("check", "--json").json["features"][0]["checks"][0]["cases"] == 10


def test_one_case_is_said_in_the_singular(shiftright: Shiftright, project: Path) -> None:
    (project / "cases.jsonl").write_text('{"input": "a", "expected": "a"}\n')
    write(project, "  right: {score: exact, max_drop: 3 points}\n  latency: {p95_at_most: 2 s}\n")
    said = shiftright("check").out
    assert "1 gate case\n" in said
    assert "your 1 case is too few to tell anything; 3 points need about" in said
    assert "your 1 case is too few" in said


def test_warnings(shiftright: Shiftright, project: Path) -> None:
    (project / "polite.md").write_text("---\nmodel: local:smollm2-135m\n---\nIs it polite?\n")
    (project / "p.md").write_text("For example: A question of  some length, number 7\n")
    write(
        project,
        "  polite: {judge: polite.md, at_least: 90%}\n  cost: {mean_at_most: 0.01 USD}\n"
        "  drop: {score: exact, max_drop: 40 points}\n",
        "variants:\n  a: {model: local:smollm2-135m, prompt: p.md}\n",
    )
    warnings = "\n".join(shiftright("check", "--json").json["features"][0]["warnings"])
    assert "polite: no human label stands" in warnings
    assert "cost: mean_at_most without each_at_most" in warnings
    assert "p.md contains the text of gate cases (c7)" in warnings
    assert "names none and there is no git history" in warnings


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("nowhere:f", "no module 'nowhere'"),
        ("code:g", "code.py has no 'g'"),
        ("broken:f", "cannot be parsed"),
        ("cat 'unclosed", 'spec.yaml:2: run: "cat \'unclosed" is no command line'),
        ("../../x:y", "spec.yaml:2: run: there is no program '../../x:y'"),
        ("no-such-program --fast", "there is no program 'no-such-program'"),
        ("triage.py:f", "Write 'triage', the module's name without .py."),
        ("code:Triage.rnu", "code.py has no 'rnu'\n  Did you mean 'run'?"),
        ("code:f.run", "code.py has no 'run'"),
        ("json:nope", "spec.yaml:2: json:nope: __init__.py has no 'nope'"),
        ("json:dumpss", "Did you mean 'dumps'?"),
        ("json.decoder:JSONDecodr", "Did you mean 'JSONDecoder'?"),
        ("recorded:missing.jsonl", "spec.yaml:2: run: there is no file missing.jsonl"),
    ],
)
def test_code_that_is_not_there(shiftright: Shiftright, project: Path, run: str, said: str) -> None:
    (project / "broken.py").write_text("def f(:\n")
    with (project / "code.py").open("a") as code:
        code.write("class Triage:\n    def run(self, x): return x\n")
    (project / "spec.yaml").write_text(SPEC.replace("code:f", json.dumps(run)))
    found = shiftright("check")
    assert found.code == 3
    assert said in found.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("three", "code.py:1: code:three is no function"),
        ("gone", "code.py:3: code:gone is deleted again"),
        ("two", "code.py:4: code:two takes 'y' besides its input"),
        ("none", "code.py:5: code:none takes no input"),
        ("keyword", "code.py:6: code:keyword takes 'y' besides its input"),
        ("context", None),
        ("default", None),
        ("rest", None),
        ("late", None),
        ("wrapped", None),
    ],
)
def test_what_eval_would_refuse_is_refused_without_running_it(
    shiftright: Shiftright, project: Path, name: str, said: str | None
) -> None:
    (project / "code.py").write_text(
        "three = 3\n"
        "def gone(x): return x\n"
        "del gone\n"
        "def two(x, y): return x\n"
        "def none(): return 1\n"
        "def keyword(x, *, y): return x\n"
        "def context(x, at: 'Context'): return x\n"
        "def default(x, y=1, *, z=2): return x\n"
        "def rest(*x, **y): return x\n"
        "late = None\n"
        "def late(x): return x\n"
        "@three\n"
        "def wrapped(x, y): return x\n"
        "raise SystemExit('this ran')\n"
    )
    (project / "spec.yaml").write_text(SPEC.replace("code:f", f"code:{name}"))
    found = shiftright("check")
    assert found.code == (0 if said is None else 3)
    assert (said or "") in found.err


@pytest.mark.parametrize(
    "run",
    [
        "json:loads",
        "json:decoder.JSONDecoder",
        "os.path:join",
        "math:floor",
        "socket:create_connection",
        "code:Plain.run",
        "code:plain.run",
        "code:Child.inherited",
        "code:made.anything",
        "code:wrapped.run",
        "late:made_up",
        "recorded:answers.jsonl",
        "https://example.com/api",
        "cat triage.json",
    ],
)
def test_what_is_there_or_may_be_is_fine(shiftright: Shiftright, project: Path, run: str) -> None:
    (project / "answers.jsonl").write_text("")
    (project / "late.py").write_text("globals()['made_up'] = len\n")
    (project / "code.py").write_text(
        "from json import JSONDecoder as Base, dumps as made\n"
        "class Plain:\n    def run(self, x): return x\n"
        "plain = Plain()\n"
        "class Child(Base): ...\n"
        "@made\ndef wrapped(x): return x\n"
    )
    (project / "spec.yaml").write_text(SPEC.replace("code:f", f'"{run}"'))
    found = shiftright("check")
    assert found.code == 0, found.err


def test_a_variant_s_recording_and_a_scorer_s_function_have_to_be_there(
    shiftright: Shiftright, project: Path
) -> None:
    write(
        project,
        "  right: {score: exact, at_least: 70%}\n",
        "variants: {old: {model: 'recorded:old.jsonl'}}\n",
    )
    assert "spec.yaml:6: variants.old.model: there is no file old.jsonl" in shiftright("check").err
    write(project, "  right: {score: 'json:nope', at_least: 70%}\n")
    assert "spec.yaml:5: json:nope: __init__.py has no 'nope'" in shiftright("check").err


def test_the_schema_for_editors_accepts_the_contract(shiftright: Shiftright, project: Path) -> None:
    import jsonschema
    import yaml

    schema = shiftright("check", "--schema").json
    jsonschema.validate(yaml.safe_load((project / "spec.yaml").read_text()), schema)


def test_a_scorer_of_a_package_that_is_not_installed(
    shiftright: Shiftright, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "  kind: {score: 'pydantic_evals.evaluators:IsInstance', type_name: str, at_least: 90%}\n")
    assert shiftright("check", "f").code == 0
    for name in [name for name in sys.modules if name.partition(".")[0] == "pydantic_evals"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydantic_evals", None)
    (project / "code.py").write_text("def f(x): return x\n")
    for command in ("check", "eval"):
        error = shiftright(command, "f", "--json").json["error"]
        assert error["hint"] == "pip install pydantic-evals"
        assert error["line"] == 5
    write(project, "  kind: {score: 'nowhere:IsInstance', at_least: 90%}\n")
    assert "no module 'nowhere'" in shiftright("check", "f", "--json").json["error"]["message"]
