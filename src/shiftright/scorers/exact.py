"""``exact``: the output is the expected one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check
from shiftright.scorers import fields


class Exact:
    """1 where output and expectation are the same JSON, else 0.

    1 and 1.0 are the same, 1 and true are not. Params: ``field`` (both sides' part to compare), ``ignore_case``,
    ``strip`` (surrounding white space does not matter).
    """

    def __init__(self, check: Check, root: Path) -> None:
        self._path = fields.path_of(check.params.get("field"))
        self._fold = bool(check.params.get("ignore_case"))
        self._strip = bool(check.params.get("strip"))
        self._right = Score(check.name, 1.0, "right")
        self._wrong = Score(check.name, 0.0, "wrong")
        self._without = Score(check.name, 0.0, "wrong", f"the output has no field {'.'.join(self._path)!r}")

    def score(self, ctx: ScoreContext) -> Score:
        expected = fields.wanted(ctx, self._path)
        output = ctx.answer.output
        if self._path:
            output = fields.pick(output, self._path)
            if output is fields.MISSING:
                return self._without
        if self._fold or self._strip:
            output, expected = self._eased(output), self._eased(expected)
        return self._right if same(output, expected) else self._wrong

    def _eased(self, value: Any) -> Any:
        if isinstance(value, str):
            value = value.strip() if self._strip else value
            return value.casefold() if self._fold else value
        if isinstance(value, list):
            return [self._eased(item) for item in value]
        if isinstance(value, dict):
            return {key: self._eased(item) for key, item in value.items()}
        return value


def same(left: Any, right: Any) -> bool:
    """Equality of JSON data: numbers by value, and true is not 1."""
    if isinstance(left, str):
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    return bool(left == right)
