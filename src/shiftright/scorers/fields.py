"""The part of an output or an expectation that a check looks at."""

from __future__ import annotations

from typing import Any

import msgspec

from shiftright.core.score import ScoreContext
from shiftright.errors import ScorerError


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING: Any = _Missing()
"""What ``pick`` gives where the path leads nowhere; equal to nothing that JSON holds."""


def pick(value: Any, path: tuple[str, ...]) -> Any:
    """The value at ``path``: keys of mappings, positions in lists. Text is read as JSON first."""
    if path and isinstance(value, str):
        value = parsed(value)
    for key in path:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return value


def path_of(field: str | None) -> tuple[str, ...]:
    """``a.b`` as its keys."""
    return tuple(field.split(".")) if field else ()


def wanted(ctx: ScoreContext, path: tuple[str, ...]) -> Any:
    """What is expected: the field of a mapping that has it, or the expectation itself where it is no mapping.

    Raises:
        ScorerError: when the case expects nothing, or has no such field.
    """
    expected = ctx.case.expected
    if expected is None:
        raise ScorerError(
            f"case {ctx.case.id} has no expected output",
            hint="Add `expected` to the case, or a check that needs none.",
        )
    if not path or not isinstance(expected, (dict, list)):
        return expected
    found = pick(expected, path)
    if found is MISSING:
        raise ScorerError(f"case {ctx.case.id}: expected has no field {'.'.join(path)!r}")
    return found


def parsed(text: str) -> Any:
    """JSON text as data; MISSING where it is no JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return MISSING


def as_text(value: Any) -> str:
    """Text as it is, other data as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
