"""One answer as its text shows it: refused, of which shape, in which language, how long, how friendly."""

from __future__ import annotations

from typing import Any

import msgspec

from shiftright.core.answer import Answer
from shiftright.ship.diff.text.language import language
from shiftright.ship.diff.text.refusal import refuses
from shiftright.ship.diff.text.sentiment import sentiment
from shiftright.ship.diff.text.shape import Shape, data_in, shape

UNREADABLE = frozenset({"malformed"})
"""Codes of failures that say the answer came and could not be read."""
REFUSED = frozenset({"refused"})


class Traits(msgspec.Struct, frozen=True):
    """``failure`` is the failure's kind. ``text`` is what a person would read: texts inside of data, too; ``""`` of a
    failed call. ``data`` is the answer as data where it is JSON, else as it is. ``sentiment`` in [-1, 1] is of English
    text alone."""

    text: str
    shape: Shape
    failure: str | None
    refused: bool
    language: str | None
    sentiment: float | None
    data: Any = None

    @property
    def answered(self) -> bool:
        return self.failure is None and not self.refused and self.shape != "empty"


def traits(answer: Answer) -> Traits:
    """Of one answer. A failed call has none but its failure."""
    failure = answer.failure
    if failure is not None:
        return Traits("", "empty", failure.kind, failure.kind in REFUSED, None, None)
    data = data_in(answer.output)
    text = text_in(data)
    spoken = language(text)
    return Traits(
        text=text,
        shape=shape(answer.output),
        failure=None,
        refused=refuses(text),
        language=spoken,
        sentiment=sentiment(text) if spoken == "English" else None,
        data=data,
    )


def text_in(value: Any) -> str:
    """Every text in it, in order; keys are no text."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return "\n".join(filter(None, map(text_in, value)))
    return "" if value is None else str(value)
