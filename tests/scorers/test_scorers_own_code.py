"""Scorers of the user: functions, classes, pydantic_evals evaluators; and the digest of a check."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from shiftright import scorers
from shiftright.core.answer import Answer, Usage
from shiftright.core.case import Case
from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check, Clause, Spec
from shiftright.errors import ScorerError, SpecError

MODULE = """
    from dataclasses import dataclass
    from pydantic_evals.evaluators import EvaluationReason, Evaluator, EvaluatorContext
    import marks

    def half(output, expected):
        return len(output) / len(expected)

    async def later(ctx, threshold=0.9):
        return {"value": ctx.output == ctx.expected, "reason": f"at {threshold}"}

    def word(output): return output

    def described(input, case, answer, output):
        return {"label": "pass", "explanation": f"{input} {case.id} {answer.latency_s}"}

    def marked(output): return marks.HIGH

    def odd(output, surprise): return 1

    def broken(output): return [output]

    class Shortness:
        def __init__(self, check, root):
            self.limit = check.params["limit"]
        def score(self, ctx):
            from shiftright.core.score import Score
            return Score("any", 1.0 if len(ctx.output) <= self.limit else 0.0)

    @dataclass
    class Same(Evaluator):
        strict: bool = False
        def evaluate(self, ctx: EvaluatorContext) -> EvaluationReason:
            return EvaluationReason(ctx.output == ctx.expected_output, f"{ctx.inputs} {ctx.duration}")

    @dataclass
    class Two(Evaluator):
        async def evaluate(self, ctx: EvaluatorContext) -> dict[str, float | bool]:
            return {"near": 0.25, "right": True}

    same = Same()
    number = 3
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(dedent(MODULE))
    (tmp_path / "marks.py").write_text("HIGH = 0.75\n")
    return tmp_path


def build(root: Path, score: str, **params: Any) -> Any:
    check = Check("right", score, params, (Clause("at_least", 0.5),), line=4)
    return scorers.build(check, Spec("triage", root / "spec.yaml", checks=(check,)))


def scored(root: Path, score: str, output: Any, expected: Any = None, **params: Any) -> Score:
    case = Case("c1", input="hi", expected=expected, tags=("new",))
    answer = Answer(output, usage=Usage(3, 2), latency_s=0.5, model_calls=1)
    found = build(root, score, **params).score(ScoreContext(case, answer, params))

    async def awaited() -> Any:
        return await found

    result = asyncio.run(awaited()) if inspect.isawaitable(found) else found
    assert isinstance(result, Score)
    assert result.name == "right"
    return result


def test_a_function_gets_what_its_parameters_name(root: Path) -> None:
    assert scored(root, "mine:half", "ab", "abcd").value == 0.5
    assert scored(root, "mine:later", "a", "a", threshold=0.5) == Score("right", 1.0, explanation="at 0.5")
    assert scored(root, "mine:described", "a").explanation == "hi c1 0.5"
    assert scored(root, "mine:marked", "a").value == 0.75


def test_words_are_verdicts(root: Path) -> None:
    assert scored(root, "mine:word", "pass") == Score("right", 1.0, "pass")
    assert scored(root, "mine:word", "No").value == 0
    with pytest.raises(ScorerError, match="'perhaps', which is no verdict"):
        scored(root, "mine:word", "perhaps")


def test_a_value_out_of_range_is_no_score(root: Path) -> None:
    with pytest.raises(ScorerError, match=r"2\.0, which is not in \[0, 1\]"):
        scored(root, "mine:half", "abcd", "ab")
    with pytest.raises(ScorerError, match="returned list"):
        scored(root, "mine:broken", "a")


def test_what_a_function_cannot_get_is_said_when_it_is_built(root: Path) -> None:
    with pytest.raises(SpecError, match="takes surprise, which nothing fills") as caught:
        build(root, "mine:odd")
    assert (caught.value.file, caught.value.line) == (str(root / "spec.yaml"), 4)
    with pytest.raises(SpecError, match="takes no treshold"):
        build(root, "mine:later", treshold=1)
    with pytest.raises(SpecError, match="is a int, which cannot score"):
        build(root, "mine:number")
    with pytest.raises(SpecError, match="has no 'haf'") as caught:
        build(root, "mine:haf")
    assert "Did you mean 'half'?" in str(caught.value)


def test_a_class_is_made_with_its_check(root: Path) -> None:
    assert build(root, "mine:Shortness", limit=3).score(ScoreContext(Case("c"), Answer("abcd"))).value == 0


def test_pydantic_evals_evaluators(root: Path) -> None:
    assert scored(root, "mine:Same", "a", "a") == Score("right", 1.0, explanation="hi 0.5")
    assert scored(root, "mine:same", "a", "b").value == 0
    assert scored(root, "mine:Two", "a", result="near").value == 0.25
    assert scored(root, "pydantic_evals.evaluators:IsInstance", "a", type_name="str").value == 1
    assert scored(root, "pydantic_evals.evaluators:EqualsExpected", "a", "a").value == 1
    assert scored(root, "pydantic_evals.evaluators:Contains", "abc", value="bc").value == 1
    assert scored(root, "pydantic_evals.evaluators:MaxDuration", "abc", seconds=0.4).value == 0


def test_evaluators_are_asked_clearly(root: Path) -> None:
    with pytest.raises(ScorerError, match="the evaluator gave near, right"):
        scored(root, "mine:Two", "a")
    with pytest.raises(SpecError, match="stict"):
        build(root, "mine:Same", stict=True)
    with pytest.raises(SpecError, match="is an instance and takes no strict"):
        build(root, "mine:same", strict=True)


def digest(root: Path, score: str, **params: Any) -> str:
    check = Check("right", score, params, (Clause("at_least", 0.5),))
    return scorers.digest(check, Spec("triage", root / "spec.yaml", checks=(check,)))


def test_the_digest_follows_params_files_and_code(root: Path) -> None:
    plain = digest(root, "mine:marked")
    assert plain == digest(root, "mine:marked")
    assert plain != digest(root, "mine:half")
    assert digest(root, "mine:later", threshold=1) != digest(root, "mine:later", threshold=2)
    (root / "marks.py").write_text("HIGH = 0.5\n")
    assert plain != digest(root, "mine:marked")


def test_the_digest_of_a_rubric_is_its_content_wherever_it_lies(tmp_path: Path) -> None:
    found = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        rubric = tmp_path / folder / "polite.md"
        rubric.write_text("Be polite.")
        found.add(
            digest(tmp_path / folder, "judge", rubric=str(rubric), labels=str(tmp_path / folder / "x.jsonl"))
        )
    assert len(found) == 1
    rubric.write_text("Be rude.")
    assert digest(tmp_path / "b", "judge", rubric=str(rubric)) not in found


def test_edited_scoring_code_is_used_at_once(root: Path) -> None:
    assert scored(root, "mine:marked", "a").value == 0.75
    (root / "marks.py").write_text("HIGH = 0.25\n")
    assert scored(root, "mine:marked", "a").value == 0.25
