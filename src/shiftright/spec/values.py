"""Amounts as people write them: ``70%``, ``3 points``, ``2 s``, ``0.0004 USD``, ``14 days``.

A ``Kind`` reads one sort of value and says what it expects; the table of keys (keys.py) is made of them, and
validation, the JSON Schema and the reference all come from it.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

Reader = Callable[[Any], Any]

_AMOUNT = re.compile(
    r"(?P<sign>[-−+]?)\s*(?P<dollar>\$?)\s*"
    r"(?P<number>\d[\d_]*(\.\d+)?([eE][-+]?\d+)?|\.\d+)\s*(?P<unit>.*)"
)
_SECONDS = {
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "days": 86400.0,
}
_POINTS = {"point", "points", "pp", "%"}


class Kind(NamedTuple):
    """One sort of value.

    ``expects`` completes "expected …", ``example`` is valid, ``schema`` is its JSON Schema, ``read`` gives
    the value in natural units (fractions, seconds, USD) or raises ValueError with the reason.
    """

    name: str
    expects: str
    example: str
    schema: dict[str, Any]
    read: Reader


class Limit(NamedTuple):
    """A bound on what is measured: its amount, and ``s`` or ``USD``."""

    amount: float
    unit: str


def fraction(value: Any) -> float:
    """``70%`` and ``0.7`` as 0.7."""
    amount, unit = _amount(value)
    if unit not in ("", "%"):
        raise ValueError(f"{unit!r} is no unit of a fraction")
    if unit == "%":
        amount /= 100
    elif amount > 1:
        raise ValueError(f"{_number(amount)} is more than 1: write {_number(amount)}% if that is meant")
    if not 0 <= amount <= 1:
        raise ValueError("a fraction lies between 0% and 100%")
    return _tidy(amount)


def points(value: Any) -> float:
    """``3 points``, ``3%`` and ``0.03`` as 0.03."""
    amount, unit = _amount(value)
    if unit not in ("", *_POINTS):
        raise ValueError(f"{unit!r} is no unit of points")
    if unit in _POINTS:
        amount /= 100
    elif amount >= 1:
        raise ValueError(f"write {_number(amount)} points if that is meant")
    if not 0 < amount <= 1:
        raise ValueError("the number of points is more than 0 and at most 100")
    return _tidy(amount)


def duration(value: Any) -> float:
    """``800 ms``, ``2 s``, ``14 days`` in seconds."""
    amount, unit = _amount(value)
    if unit not in _SECONDS:
        raise ValueError("the unit is missing" if not unit else f"{unit!r} is no unit of time")
    if amount <= 0:
        raise ValueError("a duration is more than 0")
    return _tidy(amount * _SECONDS[unit])


def money(value: Any) -> float:
    """``0.0004 USD`` and ``$0.0004`` as 0.0004."""
    amount, unit = _amount(value)
    if unit.upper() != "USD":
        raise ValueError("the unit is missing" if not unit else f"{unit!r} is no currency known here")
    if amount <= 0:
        raise ValueError("an amount of money is more than 0")
    return amount


def limit(value: Any) -> Limit:
    """A duration or an amount of money."""
    _, unit = _amount(value)
    return Limit(money(value), "USD") if unit.upper() == "USD" else Limit(duration(value), "s")


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str):
        raise ValueError("this is not text; put it in quotes if it is meant as text")
    if not value.strip():
        raise ValueError("this is empty")
    return value


def name(value: Any) -> str:
    """Names appear in commands, files and reports, so they are short and plain."""
    if not re.fullmatch(r"\w[\w.-]{0,63}", text(value)):
        raise ValueError("a name has 1 to 64 letters, digits, _ - or .")
    return text(value)


def truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("this is neither true nor false")
    return value


def number(value: Any) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("this is not a number")
    return value


def positive(value: Any) -> float:
    if number(value) < 0:
        raise ValueError("this is below 0")
    return float(value)


def pattern(value: Any) -> str:
    """A regular expression that compiles."""
    try:
        re.compile(text(value))
    except re.error as cause:
        raise ValueError(f"not a regular expression: {cause}") from None
    return text(value)


def texts(value: Any) -> tuple[str, ...]:
    """One text, or a list of them."""
    return tuple(text(item) for item in (value if isinstance(value, list) else [value]))


def shares(value: Any) -> tuple[float, ...]:
    """``[5%, 25%, 100%]``: rising, the last one everybody."""
    found = tuple(fraction(each) for each in (value if isinstance(value, list) else [value]))
    if not found or found[0] == 0.0 or any(left >= right for left, right in itertools.pairwise(found)):
        raise ValueError("shares of users rise, from more than 0%")
    if found[-1] != 1.0:
        raise ValueError("the last step is everybody: end with 100%")
    return found


def anything(value: Any) -> Any:
    return value


def mapping(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("this is not a mapping")
    return value


def text_or_mapping(value: Any) -> Any:
    return value if isinstance(value, dict) else text(value)


def format_fraction(value: float) -> str:
    """0.7 as ``70%``."""
    return f"{_number(value * 100)}%"


def format_points(value: float) -> str:
    """0.03 as ``3 points``."""
    shown = _number(value * 100)
    return f"{shown} point" if shown == "1" else f"{shown} points"


def format_limit(value: Limit) -> str:
    """``2 s``, ``0.0004 USD``."""
    return f"{_number(value.amount)} {value.unit}"


def _amount(value: Any) -> tuple[float, str]:
    """The number and the unit as written; a bare number has none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("this is not an amount")
    if not isinstance(value, str):
        return number(value), ""
    match = _AMOUNT.fullmatch(value.strip())
    if match is None:
        raise ValueError("this does not start with a number")
    amount = float(match["number"].replace("_", ""))
    unit = match["unit"].strip()
    if match["dollar"]:
        if unit not in ("", "USD"):
            raise ValueError(f"$ and {unit!r} are two units")
        unit = "USD"
    if not math.isfinite(amount):
        raise ValueError("this number is too large")
    return (-amount if match["sign"] in ("-", "−") and amount else amount), unit


def _number(value: float) -> str:
    """No exponent for small amounts of money."""
    return f"{value:.10g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.15f}".rstrip("0").rstrip(".")


def _tidy(value: float) -> float:
    """3 points are 0.03 and not 0.030000000000000002-like neighbours: equal contracts have equal digests."""
    return float(f"{value:.12g}")


FRACTION = Kind(
    "fraction",
    "a fraction such as 70% or 0.7",
    "70%",
    {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": "string", "pattern": r"^\s*[0-9.]+\s*%?\s*$"},
        ]
    },
    fraction,
)
POINTS = Kind(
    "points",
    "points such as 3 points or 0.03",
    "3 points",
    {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            {"type": "string", "pattern": r"^\s*[0-9.]+\s*(points?|pp|%)?\s*$"},
        ]
    },
    points,
)
DURATION = Kind(
    "duration",
    "a time such as 2 s, 800 ms or 14 days",
    "2 s",
    {"type": "string", "pattern": r"^\s*[0-9._]+\s*[a-z]+\s*$"},
    duration,
)
MONEY = Kind(
    "money",
    "money such as 0.0004 USD",
    "0.0004 USD",
    {"type": "string", "pattern": r"^\s*(\$\s*[0-9._eE-]+|[0-9._eE-]+\s*[Uu][Ss][Dd])\s*$"},
    money,
)
LIMIT = Kind(
    "time or money",
    "a time such as 2 s or money such as 0.0004 USD",
    "2 s",
    {"anyOf": [DURATION.schema, MONEY.schema]},
    limit,
)
TEXT = Kind("text", "text", "some words", {"type": "string", "minLength": 1}, text)
NAME = Kind(
    "name",
    "a name of letters, digits, _ - or .",
    "triage",
    {"type": "string", "pattern": r"^[^\W][\w.\-]{0,63}$"},
    name,
)
PATTERN = Kind("pattern", "a regular expression", "'^[A-Z]'", {"type": "string", "format": "regex"}, pattern)
FILE = Kind("file", "a file name", "cases.jsonl", {"type": "string", "minLength": 1}, text)
TRUTH = Kind("true/false", "true or false", "true", {"type": "boolean"}, truth)
POSITIVE = Kind("number", "a number that is not negative", "0.01", {"type": "number", "minimum": 0}, positive)
TEXTS = Kind(
    "list of text",
    "a text or a list of them",
    "[legal]",
    {"anyOf": [TEXT.schema, {"type": "array", "items": TEXT.schema}]},
    texts,
)
SHARES = Kind(
    "rising shares",
    "a list of rising shares that ends with 100%",
    "[5%, 25%, 100%]",
    {"type": "array", "items": FRACTION.schema, "minItems": 1},
    shares,
)
ANYTHING = Kind("anything", "any value", "…", {}, anything)
MAPPING = Kind("mapping", "a mapping (key: value)", "{key: value}", {"type": "object"}, mapping)
FILES = Kind(
    "file, or files by split",
    "a file name, or a mapping of splits to files",
    "cases.jsonl",
    TEXT.schema,
    text_or_mapping,
)
SCHEMA = Kind(
    "schema",
    "a JSON Schema file or the schema itself",
    "answer.schema.json",
    {"anyOf": [TEXT.schema, {"type": "object"}]},
    text_or_mapping,
)
