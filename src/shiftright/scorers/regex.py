"""``regex``: a pattern is found in the output, within a time limit."""

from __future__ import annotations

from pathlib import Path

from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check
from shiftright.errors import ScorerError, SpecError
from shiftright.scorers import fields

TIMEOUT_S = 0.5
"""A pattern that backtracks without end on some output fails the measurement instead of stopping the run."""


class Regex:
    """1 where ``pattern`` is found in the output, else 0. An output that is not text is searched as JSON.

    Params: ``pattern`` (anchor it with ``^`` and ``$`` to match the whole), ``field``.
    """

    def __init__(self, check: Check, root: Path) -> None:
        import regex

        self._name = check.name
        self._path = fields.path_of(check.params.get("field"))
        pattern = check.params.get("pattern")
        if not isinstance(pattern, str) or not pattern:
            raise SpecError(f"checks.{check.name}: regex needs a pattern", hint="Add pattern: '^[A-Z]'")
        try:
            self._pattern = regex.compile(pattern)
        except regex.error as cause:
            raise SpecError(f"checks.{check.name}.pattern: not a regular expression: {cause}") from None

    def score(self, ctx: ScoreContext) -> Score:
        output = fields.pick(ctx.answer.output, self._path)
        if output is fields.MISSING:
            return Score(self._name, 0.0, "missing", f"the output has no field {'.'.join(self._path)!r}")
        try:
            match = self._pattern.search(fields.as_text(output), timeout=TIMEOUT_S)
        except TimeoutError:
            raise ScorerError(
                f"case {ctx.case.id}: the pattern was not through with the output after {TIMEOUT_S:g} s",
                hint="Nested repetition, as in (a+)+, takes exponential time; write the pattern without it.",
            ) from None
        return Score(self._name, 1.0, "found") if match else Score(self._name, 0.0, "missing")
