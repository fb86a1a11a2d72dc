"""``contains``: the expected text stands in the output."""

from __future__ import annotations

from pathlib import Path

from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check
from shiftright.errors import ScorerError
from shiftright.scorers import fields


class Contains:
    """1 where the output contains the expected text, or every one of a list of texts, else 0.

    An output that is not text is searched as JSON. Params: ``field``, ``ignore_case``.
    """

    def __init__(self, check: Check, root: Path) -> None:
        self._name = check.name
        self._path = fields.path_of(check.params.get("field"))
        self._fold = bool(check.params.get("ignore_case"))

    def score(self, ctx: ScoreContext) -> Score:
        expected = fields.wanted(ctx, self._path)
        texts = [fields.as_text(item) for item in (expected if isinstance(expected, list) else [expected])]
        if not all(texts) or not texts:
            raise ScorerError(f"case {ctx.case.id}: an empty text is in every output")
        output = fields.pick(ctx.answer.output, self._path)
        if output is fields.MISSING:
            return Score(self._name, 0.0, "missing", f"the output has no field {'.'.join(self._path)!r}")
        searched = fields.as_text(output)
        if self._fold:
            searched = searched.casefold()
        absent = [text for text in texts if (text.casefold() if self._fold else text) not in searched]
        if absent:
            return Score(self._name, 0.0, "missing", f"not in the output: {', '.join(map(repr, absent))}")
        return Score(self._name, 1.0, "found")
