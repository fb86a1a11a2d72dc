"""The interfaces, one method each. Built-ins and strangers come in through the same ones."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, runtime_checkable

from shiftright.core.score import Score, ScoreContext


@runtime_checkable
class Scorer(Protocol):
    """Gives a Score to an output; may be ``async`` (a judge is). It raises ScorerError when it cannot measure."""

    def score(self, ctx: ScoreContext) -> Score | Awaitable[Score]: ...
