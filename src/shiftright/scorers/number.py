"""``number``: the output is near enough to the expected number."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check
from shiftright.errors import ScorerError
from shiftright.scorers import fields

_ROUNDING = 1e-9


class Number:
    """1 where |output − expected| ≤ max(``tolerance``, ``relative`` · |expected|), else 0.

    Numbers may be written as text (``1,234.5`` too). Without a tolerance they have to be equal up to rounding.
    Params: ``tolerance`` (in the number's own unit), ``relative`` (a share of the expected number), ``field``.
    """

    def __init__(self, check: Check, root: Path) -> None:
        self._name = check.name
        self._path = fields.path_of(check.params.get("field"))
        self._absolute = float(check.params.get("tolerance", 0.0))
        self._relative = float(check.params.get("relative", _ROUNDING))

    def score(self, ctx: ScoreContext) -> Score:
        wanted = fields.wanted(ctx, self._path)
        expected = as_number(wanted)
        if expected is None:
            raise ScorerError(f"case {ctx.case.id}: expected is no number: {str(wanted)[:100]!r}")
        output = as_number(fields.pick(ctx.answer.output, self._path))
        if output is None:
            return Score(self._name, 0.0, "no number", "the output is no number")
        off = abs(output - expected)
        near = off <= max(self._absolute, self._relative * abs(expected))
        return Score(self._name, 1.0 if near else 0.0, "near" if near else "far", f"off by {off:.6g}")


def as_number(value: Any) -> float | None:
    """A finite number, also one written as text with a decimal point; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value.strip().replace(",", "") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None
