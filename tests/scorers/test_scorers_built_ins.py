"""The built-in scorers on outputs as models give them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright import scorers
from shiftright.core.answer import Answer
from shiftright.core.case import Case
from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check, Clause, Spec
from shiftright.errors import ScorerError, SpecError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def spec_with(score: str, root: Path = Path("/nowhere"), **params: Any) -> tuple[Check, Spec]:
    check = Check("right", score, params, (Clause("at_least", 0.5),), line=7)
    return check, Spec("triage", root / "spec.yaml", checks=(check,))


def scored(score: str, output: Any, expected: Any = None, **params: Any) -> Score:
    scorer = scorers.build(*spec_with(score, **params))
    found = scorer.score(ScoreContext(Case("c1", input="hi", expected=expected), Answer(output)))
    assert isinstance(found, Score)
    assert found.name == "right"
    return found


def value(score: str, output: Any, expected: Any = None, **params: Any) -> float | None:
    return scored(score, output, expected, **params).value


@pytest.mark.parametrize(
    ("output", "expected", "params", "wanted"),
    [
        ("billing", "billing", {}, 1),
        ("Billing", "billing", {}, 0),
        ("Billing", "billing", {"ignore_case": True}, 1),
        (" billing\n", "billing", {}, 0),
        (" billing\n", "billing", {"strip": True}, 1),
        ({"queue": "billing"}, {"queue": "billing"}, {"field": "queue"}, 1),
        ({"queue": "billing", "why": "x"}, "billing", {"field": "queue"}, 1),
        ('{"queue": "billing"}', "billing", {"field": "queue"}, 1),
        ("billing, I think", "billing", {"field": "queue"}, 0),
        ({"a": {"b": [1, 2]}}, 2, {"field": "a.b.1"}, 1),
        ({}, "billing", {"field": "queue"}, 0),
        (1, True, {}, 0),
        (1, 1.0, {}, 1),
        ([1, {"a": True}], [1.0, {"a": 1}], {}, 0),
        (None, "x", {}, 0),
    ],
)
def test_exact(output: Any, expected: Any, params: dict[str, Any], wanted: float) -> None:
    assert value("exact", output, expected, **params) == wanted


@given(JSON.filter(lambda value: value is not None))
def test_everything_is_exactly_itself(data: Any) -> None:
    assert value("exact", json.loads(json.dumps(data)), data) == 1


def test_exact_says_which_case_expects_nothing() -> None:
    with pytest.raises(ScorerError, match="case c1 has no expected output"):
        scored("exact", "billing")
    with pytest.raises(ScorerError, match="case c1: expected has no field 'queue'"):
        scored("exact", {"queue": "a"}, {"other": "a"}, field="queue")


@pytest.mark.parametrize(
    ("output", "expected", "params", "wanted"),
    [
        ("go to billing now", "billing", {}, 1),
        ("go to Billing now", "billing", {}, 0),
        ("go to Billing now", "billing", {"ignore_case": True}, 1),
        ("a and b", ["a", "b"], {}, 1),
        ("a only", ["a", "b"], {}, 0),
        ({"text": "see §5"}, "§5", {"field": "text"}, 1),
        ({"n": 5}, '"n":5', {}, 1),
    ],
)
def test_contains(output: Any, expected: Any, params: dict[str, Any], wanted: float) -> None:
    assert value("contains", output, expected, **params) == wanted


def test_contains_refuses_the_text_that_is_everywhere() -> None:
    with pytest.raises(ScorerError, match="empty text"):
        scored("contains", "x", "")


def test_regex() -> None:
    assert value("regex", "ticket A-123", pattern=r"[A-Z]-\d+") == 1
    assert value("regex", "ticket", pattern=r"^\d+$") == 0
    assert value("regex", {"id": "A-1"}, pattern=r"^A", field="id") == 1
    with pytest.raises(SpecError, match="not a regular expression"):
        scored("regex", "x", pattern="(")


def test_a_catastrophic_pattern_fails_the_measurement_in_time() -> None:
    with pytest.raises(ScorerError, match=r"after 0\.5 s"):
        scored("regex", "a" * 40 + "!", pattern=r"^(a|a|aa)+$")


SCHEMA = {
    "type": "object",
    "properties": {"queue": {"enum": ["billing", "tech"]}},
    "required": ["queue"],
}


def test_schema_reads_text_as_json() -> None:
    assert value("schema", '{"queue": "billing"}', schema=SCHEMA) == 1
    assert value("schema", {"queue": "tech"}, schema=SCHEMA) == 1
    found = scored("schema", {"queue": "sales"}, schema=SCHEMA)
    assert found.value == 0
    assert found.explanation is not None
    assert found.explanation.startswith("$.queue: 'sales' is not one of")
    assert scored("schema", "billing", schema=SCHEMA).explanation == "the output is not JSON"
    assert value("schema", "billing", schema={"enum": ["billing"]}) == 1


def test_schema_without_one_takes_any_object() -> None:
    assert value("schema", '{"a": 1}') == 1
    assert value("schema", "[]") == 1
    assert value("schema", "3") == 0
    assert value("schema", '```json\n{"a": 1}\n```') == 0


def test_schema_of_the_declared_output() -> None:
    check, spec = spec_with("schema")
    scorer = scorers.build(check, spec, output_schema=SCHEMA)
    assert scorer.score(ScoreContext(Case("c1"), Answer({"queue": "sales"}))).value == 0  # type: ignore[union-attr]


def test_schema_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(json.dumps(SCHEMA))
    check, spec = spec_with("schema", tmp_path, schema="out.json")
    scorer = scorers.build(check, spec)
    assert scorer.score(ScoreContext(Case("c1"), Answer({"queue": "tech"}))).value == 1  # type: ignore[union-attr]
    (tmp_path / "out.json").write_text('{"type": "objct"}')
    with pytest.raises(SpecError, match="objct"):
        scorers.build(check, spec)


def test_schema_never_fetches_a_reference() -> None:
    with pytest.raises(ScorerError, match="not in it"):
        scored("schema", {"a": 1}, schema={"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(ScorerError, match="not in it"):
        scored("schema", "text", schema={"$ref": "http://127.0.0.1:9/schema.json"})


@pytest.mark.parametrize(
    ("output", "expected", "params", "wanted"),
    [
        (3.0, 3, {}, 1),
        ("3", 3, {}, 1),
        (" 1,234.50 ", 1234.5, {}, 1),
        (0.1 + 0.2, 0.3, {}, 1),
        (3.2, 3, {}, 0),
        (3.2, 3, {"tolerance": 0.25}, 1),
        (104, 100, {"relative": 0.05}, 1),
        (106, 100, {"relative": 0.05}, 0),
        ({"price": "9.99"}, 10, {"field": "price", "tolerance": 0.02}, 1),
        ("about three", 3, {}, 0),
        (True, 1, {}, 0),
        ("nan", 1, {"tolerance": 1}, 0),
        (None, 1, {}, 0),
    ],
)
def test_number(output: Any, expected: Any, params: dict[str, Any], wanted: float) -> None:
    assert value("number", output, expected, **params) == wanted


def test_number_wants_a_number_to_compare_with() -> None:
    with pytest.raises(ScorerError, match="expected is no number: 'three'"):
        scored("number", 3, "three")


def test_similarity() -> None:
    assert value("similarity", "Your refund is on its way!", "your refund is on its way") == 1
    assert value("similarity", "the cat", "the dog") == 0.5
    assert value("similarity", "", "the dog") == 0
    assert value("similarity", "a b", ["c d", "a c", "b a"]) == 1
    assert value("similarity", "東京都", "東京") == pytest.approx(0.8)
    with pytest.raises(ScorerError, match="no words"):
        scored("similarity", "x", "…")


@given(st.text(), st.text().filter(lambda text: any(c.isalnum() for c in text)))
def test_similarity_is_symmetric_and_bounded(left: str, right: str) -> None:
    found = value("similarity", left, right)
    assert found is not None
    assert 0 <= found <= 1
    if any(c.isalnum() for c in left):
        assert found == pytest.approx(value("similarity", right, left) or 0.0)


def test_latency_and_cost_measure_the_call() -> None:
    answer = Answer("x", latency_s=1.5, cost_usd=0.002)
    ctx = ScoreContext(Case("c1"), answer)
    assert scorers.build(*spec_with("latency")).score(ctx).value == 1.5  # type: ignore[union-attr]
    assert scorers.build(*spec_with("cost")).score(ctx).value == 0.002  # type: ignore[union-attr]
    with pytest.raises(ScorerError, match="no price is known"):
        scorers.build(*spec_with("cost")).score(ScoreContext(Case("c1"), Answer("x", cost_usd=None)))


def test_an_unknown_scorer_is_named_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="there is no scorer 'exakt'") as caught:
        scorers.build(*spec_with("exakt"))
    assert "Did you mean 'exact'?" in str(caught.value)
    assert caught.value.line == 7
