"""What a result file of any tool becomes."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from shiftright.core.case import digest_of


class ResultRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One output of one case, as its tool recorded it.

    ``scores`` are in the natural unit (a fraction for quality); a metric that could not be measured is absent.
    ``failure`` says why there is no usable answer. ``repeat`` counts from 0.
    """

    case_id: str
    input: Any = None
    output: Any = None
    expected: Any = None
    scores: dict[str, float] = {}
    failure: str | None = None
    latency_s: float | None = None
    cost_usd: float | None = None
    group: str | None = None
    repeat: int = 0
    tags: tuple[str, ...] = ()


class ResultFile(msgspec.Struct, frozen=True):
    """The rows of one file. ``tool`` is the reader's name, ``metrics`` the scores in order of appearance."""

    tool: str
    rows: tuple[ResultRow, ...]
    metrics: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def id_of(value: Any) -> str:
    """The id of a case that has none: a short digest of its input, as in datasets."""
    return digest_of(value)[:12]


def score_of(value: Any) -> float | None:
    """A tool's score as a number: numbers, true/false, words for them, percentages; None for anything else."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    text = value.strip().lower()
    if text in _WORDS:
        return _WORDS[text]
    percent = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return None
    return (number / 100 if percent else number) if math.isfinite(number) else None


def number_of(value: Any) -> float | None:
    """A finite number that is not negative (seconds, USD), or None."""
    number = score_of(value) if not isinstance(value, bool) else None
    return number if number is not None and number >= 0 else None


_WORDS = (
    dict.fromkeys(("true", "yes", "pass", "passed", "correct", "right", "c"), 1.0)
    | dict.fromkeys(("partial", "p"), 0.5)
    | dict.fromkeys(("false", "no", "fail", "failed", "incorrect", "wrong", "i", "n"), 0.0)
)
