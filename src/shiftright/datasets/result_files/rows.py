"""What a result file of any tool becomes."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from shiftright.core.case import digest_of
from shiftright.errors import DatasetError


class ResultRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One output of one case, as its tool recorded it.

    ``scores`` are in the natural unit (a fraction for quality); a metric that could not be measured is absent.
    ``failure`` is the tool's own word for what went wrong, never guessed from what is missing. ``repeat`` counts
    from 0.
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


def score_of(name: str, value: Any) -> float | None:
    """A tool's score as a number: numbers, true/false, words for them, percentages. None where it is missing.

    Raises:
        DatasetError: without a file, for a value that is there and no number.
    """
    number = _number(value)
    if number is None and not is_missing(value):
        raise _unreadable(name, value)
    return number


def number_of(value: Any) -> float | None:
    """A finite number that is not negative (seconds, USD), or None."""
    number = _number(value) if not isinstance(value, bool) else None
    return number if number is not None and number >= 0 else None


def is_missing(value: Any) -> bool:
    """Nothing, or what tools write for nothing."""
    if isinstance(value, str):
        return value.strip().lower() in _NOTHING
    return value is None or (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> float | None:
    percent = False
    if isinstance(value, str):
        value = value.strip().lower()
        if value in _WORDS:
            return _WORDS[value]
        percent = value.endswith("%")
        value = value.removesuffix("%")
    elif not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return (number / 100 if percent else number) if math.isfinite(number) else None


def _unreadable(name: str, value: Any) -> DatasetError:
    text = repr(value) if len(repr(value)) <= _LONGEST else f"{repr(value)[:_LONGEST]}…"
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[\d.]*\d,\d+\s*%?\s*", value):
        return DatasetError(
            f"{name} is {text}, a number with a comma",
            hint="Write numbers with a decimal point, such as 0.5.",
        )
    hint = "Give a number, or pass and fail (true/false, yes/no, correct/incorrect); where there is no score, nothing."
    return DatasetError(f"{name} is {text}, which is no finite number", hint=hint)


_LONGEST = 60
_WORDS = (
    dict.fromkeys(("true", "yes", "pass", "passed", "correct", "right", "c"), 1.0)
    | dict.fromkeys(("partial", "p"), 0.5)
    | dict.fromkeys(("false", "no", "fail", "failed", "incorrect", "wrong", "i", "n"), 0.0)
)
_NOTHING = frozenset(("", "-", "n/a", "#n/a", "na", "<na>", "nan", "null", "none"))
