"""The figures of a diff as words, the same on a terminal, on a page and in a comment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from shiftright.core.counting import counted
from shiftright.decisions.words import amount, percent, points
from shiftright.evals.compare.findings import Amount
from shiftright.ship.diff.findings import Behaviour, Example, Measure, ModelDiff


class Beside(msgspec.Struct, frozen=True):
    """One line of the comparison. ``mark`` is "worse" where that is beyond chance; ``what`` says how it is told."""

    name: str
    old: str
    new: str
    change: str
    mark: str
    what: str
    n: int


def beside(found: ModelDiff) -> list[Beside]:
    """Scores, cost, latency and length, then what the answers are like."""
    rows = [
        Beside(level.metric, percent(level.old), percent(level.new), points(level.new - level.old, signed=True), "",
               "mean score, as the check has it", level.n)
        for level in found.levels
    ]  # fmt: skip
    rows += [_amount(item) for item in found.amounts]
    return rows + [_measure(item) for item in found.measures]


def _amount(item: Amount) -> Beside:
    read: Callable[[float], str] = (
        (lambda value: f"{value:,.0f}") if item.name == "length" else (lambda value: amount(value, item.name))
    )
    change = ""
    if item.ratio is not None and item.ratio_interval is not None:
        low, high = item.ratio_interval
        change = f"×{item.ratio:.2f} ({max(low, 0.0):.2f} to {high:.2f})"
    what = {
        "cost": "mean a call",
        "latency": "mean of the answers as they were first produced",
        "length": "mean characters of an answer",
    }[item.name]
    return Beside(item.name, read(item.old), read(item.new), change, "", what, item.n)


def _measure(item: Measure) -> Beside:
    if item.unit == "tone":
        ends = " to ".join(map(_signed, item.interval))
        change = f"{_signed(item.change)} ({ends})"
        return Beside(item.name, _signed(item.old), _signed(item.new), change, "", item.what, item.n)
    low, high = (
        points(end, signed=True).removesuffix(" points").removesuffix(" point") for end in item.interval
    )
    change = f"{points(item.change, signed=item.change != 0)} ({low} to {high})"
    mark = "worse" if item.worse else ""
    return Beside(item.name, percent(item.old), percent(item.new), change, mark, item.what, item.n)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def extent(group: Behaviour) -> str:
    """``12 inputs (4.5 %); 1 the other way``"""
    back = f"; {group.back:,} the other way" if group.back or group.kind != "label" else ""
    return f"{counted(group.n, 'input')} ({percent(group.share)}){back}"


def said(example: Example, side: Literal["old", "new"]) -> Any:
    """What a side answered, or why it did not."""
    failure = example.old_failure if side == "old" else example.new_failure
    if failure is not None:
        return f"failed: {failure}"
    return example.old_output if side == "old" else example.new_output
