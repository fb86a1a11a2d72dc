"""What a person means by a text, wherever it was typed."""

from __future__ import annotations

from typing import Any

import pytest

from shiftright.cli.run import value_of
from shiftright.core.text import written
from shiftright.errors import UsageError


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("5", "5"), ("true", "true"), ("null", "null"), ("refunds", "refunds"), ("", ""),
        ('"5"', "5"), ('"so" he said', '"so" he said'), ('{"n": 5}', {"n": 5}), (" [1]", [1]),
    ],
)  # fmt: skip
def test_one_rule_for_what_is_json_and_what_is_text(text: str, means: Any) -> None:
    assert written(text) == means
    assert value_of(text, "--correction") == means


def test_a_form_takes_what_a_command_line_asks_about() -> None:
    assert written("{x") == "{x"
    with pytest.raises(UsageError, match="begins like JSON"):
        value_of("{x", "--correction")
