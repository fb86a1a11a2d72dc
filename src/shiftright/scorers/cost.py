"""``cost``: the US dollars an answer cost."""

from __future__ import annotations

from pathlib import Path

from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check
from shiftright.errors import ScorerError


class Cost:
    """The cost of the call's model calls in USD, of failed calls too."""

    def __init__(self, check: Check, root: Path) -> None:
        self._name = check.name

    def score(self, ctx: ScoreContext) -> Score:
        cost = ctx.answer.cost_usd
        if cost is None:
            raise ScorerError(
                f"case {ctx.case.id}: no price is known for a model that was called",
                hint="Give the variant `price: {input: 0.15 USD/M, output: 0.6 USD/M}`.",
            )
        return Score(self._name, cost)
