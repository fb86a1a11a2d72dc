"""The interfaces, one method each. Built-ins and strangers come in through the same ones."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, runtime_checkable

from shiftright.core.incident import Notice
from shiftright.core.score import Score, ScoreContext


@runtime_checkable
class Scorer(Protocol):
    """Gives a Score to an output; may be ``async`` (a judge is). It raises ScorerError when it cannot measure."""

    def score(self, ctx: ScoreContext) -> Score | Awaitable[Score]: ...


@runtime_checkable
class Notifier(Protocol):
    """Tells people. It may block, on a thread of its own; it raises NotifierError when the message may not have got
    there, and is asked again later: the notice's id tells the receiver what came before."""

    def notify(self, notice: Notice) -> None: ...
