"""One table of keys: the loader, the schema and the reference agree."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shiftright import spec
from shiftright.spec import keys, values

REPOSITORY = Path(__file__).parents[2]
SECTIONS = (
    keys.TOP,
    keys.CASES,
    keys.CHECK,
    keys.VARIANT,
    keys.CONFIDENCE,
    keys.OWNER,
    keys.VALUE,
    keys.LIVE,
    keys.DATA,
)
ALL_KEYS = [key for section in SECTIONS for key in section.keys] + [
    k for ks in keys.SCORERS.values() for k in ks
]
CONTRACT: dict[str, Any] = {
    "feature": "triage",
    "run": "triage:triage",
    "cases": {"gate": "gate.jsonl"},
    "checks": {
        "right": {"score": "exact", "field": "a", "max_drop": "3 points"},
        "cost": {"each_at_most": "$1"},
    },
    "variants": {"a": {"model": "m", "k": 5}},
}


def test_the_reference_in_the_docs_is_current() -> None:
    assert (REPOSITORY / "docs" / "contract.md").read_text() == spec.reference()


@pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: key.name)
def test_the_reference_names_every_key_and_its_example_is_valid(key: keys.Key) -> None:
    from shiftright.core.yaml_text import parse

    assert f"`{key.name}`" in spec.reference() or not key.engine
    document = parse(key.shown)
    if key.kind is not values.ANYTHING:
        key.kind.read(document[key.name])
    Draft202012Validator(key.kind.schema).validate(document[key.name])


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"cases": "gate.jsonl"}, True),
        ({"extends": "../base.yaml"}, True),
        ({"feture": "x"}, False),
        ({"ship": {"fallbacks": []}}, False),
        ({"checks": {}}, False),
        ({"checks": {"right": {"score": "exact", "max_dorp": "3 points"}}}, False),
        ({"checks": {"right": {"score": "mine:score", "wanted": 3, "at_least": 0.7}}}, True),
        ({"checks": {"right": {"score": "exact", "at_least": 70}}}, False),
        ({"confidence": {"wrong_ship": "often"}}, False),
    ],
)
def test_the_json_schema_sees_what_the_loader_sees(change: dict[str, Any], valid: bool) -> None:
    schema = spec.json_schema()
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(CONTRACT | change) is valid


@given(st.integers(1, 9999))
def test_all_spellings_of_an_amount_are_one_value(number: int) -> None:
    share = number / 10_000
    assert values.fraction(f"{number / 100} %") == values.fraction(share) == float(f"{share:.12g}")
    assert values.points(f"{number / 100} points") == values.points(share)
    assert values.money(f"{number} USD") == values.money(f"${number}") == number
    assert values.duration(f"{number} ms") == values.duration(f"{number / 1000} s")
    assert values.fraction(values.format_fraction(share)) == values.fraction(share)
    assert values.points(values.format_points(share)) == values.points(share)


@given(st.text(max_size=20))
def test_no_text_breaks_an_amount(text: str) -> None:
    for read in (values.fraction, values.points, values.duration, values.money, values.limit, values.name):
        with contextlib.suppress(ValueError):
            read(text)


def test_reading_a_contract_stays_on_the_light_path() -> None:
    program = (
        "import sys, shiftright.spec\n"
        "heavy = {'pydantic', 'jsonschema', 'sqlalchemy', 'jinja2', 'numpy', 'rich', 'yaml'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
