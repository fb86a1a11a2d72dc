"""What a user's scorer returned, as a Score."""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec

from shiftright.core.score import Score
from shiftright.errors import ScorerError

_YES = frozenset({"pass", "passed", "yes", "true", "right", "correct"})
_NO = frozenset({"fail", "failed", "no", "false", "wrong", "incorrect"})
_KEYS = frozenset({"value", "label", "explanation", "reason", "cost_usd"})


def as_score(name: str, raw: Any) -> Score:
    """A Score from true/false, a number in [0, 1], a word such as ``pass``, a mapping, or a Score.

    A mapping has ``value`` (or only ``label``) and perhaps ``explanation`` (or ``reason``), ``cost_usd``.

    Raises:
        ScorerError: for anything else: a number out of range would count as a very good or bad output.
    """
    if isinstance(raw, Score):
        if raw.failure is None:
            _number(name, raw.value)
        return raw if raw.name == name else msgspec.structs.replace(raw, name=name)
    if isinstance(raw, dict):
        return _from_mapping(name, raw)
    if isinstance(raw, str):
        return Score(name, _word(name, raw), raw)
    return Score(name, _number(name, raw))


def _from_mapping(name: str, raw: dict[Any, Any]) -> Score:
    if unknown := [str(key) for key in raw if key not in _KEYS]:
        raise ScorerError(
            f"{name}: the scorer returned unknown keys: {', '.join(unknown)}",
            hint=f"Known: {', '.join(sorted(_KEYS))}.",
        )
    label = raw.get("label")
    value = raw.get("value")
    return Score(
        name,
        _word(name, str(label)) if value is None and label is not None else as_score(name, value).value,
        None if label is None else str(label),
        raw.get("explanation") or raw.get("reason"),
        cost_usd=raw.get("cost_usd", 0.0),
    )


def _number(name: str, raw: Any) -> float:
    if hasattr(raw, "item") and not isinstance(raw, (int, float)):
        raw = raw.item()  # numpy's numbers
    if not isinstance(raw, (int, float)):
        raise ScorerError(
            f"{name}: the scorer returned {type(raw).__name__}",
            hint="Return true or false, a number from 0 to 1, a Score, or {value: …, explanation: …}.",
        )
    if not isfinite(raw) or not 0 <= raw <= 1:
        raise ScorerError(
            f"{name}: the scorer returned {raw}, which is not in [0, 1]", hint="Scale it: 1 is best."
        )
    return float(raw)


def _word(name: str, raw: str) -> float:
    word = raw.strip().casefold()
    if word not in _YES | _NO:
        raise ScorerError(
            f"{name}: the scorer returned {raw[:80]!r}, which is no verdict",
            hint="Return pass or fail, or a number.",
        )
    return 1.0 if word in _YES else 0.0
