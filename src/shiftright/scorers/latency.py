"""``latency``: the seconds an answer took."""

from __future__ import annotations

from pathlib import Path

from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check


class Latency:
    """The call's latency in seconds, of failed calls too. A cached answer counts as long as it first took."""

    def __init__(self, check: Check, root: Path) -> None:
        self._name = check.name

    def score(self, ctx: ScoreContext) -> Score:
        return Score(self._name, ctx.answer.latency_s)
