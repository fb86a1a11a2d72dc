"""``similarity``: how many words output and expectation share."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check
from shiftright.errors import ScorerError
from shiftright.scorers import fields

# Scripts written without spaces count by character.
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]|\w+")


class Similarity:
    """F1 of the words that output and expectation share, in [0, 1]: the same words in any order give 1.

    Case and punctuation do not count. Where the case lists several expectations the nearest counts. Params:
    ``field``. Source: the F1 of SQuAD (Rajpurkar et al. 2016, section 6.1), articles kept.
    """

    def __init__(self, check: Check, root: Path) -> None:
        self._name = check.name
        self._path = fields.path_of(check.params.get("field"))

    def score(self, ctx: ScoreContext) -> Score:
        expected = fields.wanted(ctx, self._path)
        references = [
            _tokens(fields.as_text(e)) for e in (expected if isinstance(expected, list) else [expected])
        ]
        if not references or not all(references):
            raise ScorerError(f"case {ctx.case.id}: the expected text has no words")
        output = fields.pick(ctx.answer.output, self._path)
        if output is fields.MISSING:
            return Score(self._name, 0.0, explanation=f"the output has no field {'.'.join(self._path)!r}")
        found = _tokens(fields.as_text(output))
        return Score(self._name, max(_f1(found, reference) for reference in references))


def _tokens(text: str) -> Counter[str]:
    return Counter(_TOKEN.findall(text.casefold()))


def _f1(left: Counter[str], right: Counter[str]) -> float:
    shared = (left & right).total()
    return 2 * shared / (left.total() + right.total())
