"""A Score: what a scorer, a user or a person said of one output."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from shiftright.core.answer import Answer
from shiftright.core.case import Case

Source = Literal["scorer", "user", "human"]


class Score(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One judgement of one output.

    ``value`` is in [0, 1] for quality (1 is best), seconds for latency, USD for cost. ``label`` is a scorer's word
    for it, ``explanation`` its reason, ``cost_usd`` what was paid for asking (judges).
    ``failure`` says why the measurement failed; then ``value`` is None and the decision takes the worst value for
    the candidate, whichever side failed.
    """

    name: str
    value: float | None = None
    label: str | None = None
    explanation: str | None = None
    source: Source = "scorer"
    failure: str | None = None
    cost_usd: float | None = 0.0

    @property
    def passed(self) -> bool:
        """Half or more of a quality score; a failed measurement has not passed."""
        return self.value is not None and self.value >= 0.5


class ScoreContext(msgspec.Struct, frozen=True, gc=False):
    """What a scorer sees. ``params`` are the check's own keys in the contract (``field``, ``pattern``, …).

    ``other`` is the other side's answer for pairwise scorers (the baseline's, when the candidate is scored).
    """

    case: Case
    answer: Answer
    params: dict[str, Any] = {}
    other: Answer | None = None

    @property
    def output(self) -> Any:
        return self.answer.output

    @property
    def expected(self) -> Any:
        return self.case.expected

    @property
    def input(self) -> Any:
        return self.case.value
