"""A value as plain JSON data, or a clear refusal: what a feature returns is stored, compared and scored as this."""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec

from shiftright.errors import FeatureError

_MAX_INT = 2**63


def to_plain(value: Any) -> Any:
    """None, truth values, numbers, text, lists and dicts with text keys.

    Pydantic models, dataclasses, typed dicts, enums, dates, sets and numpy's numbers and arrays are converted.

    Raises:
        FeatureError: NaN and infinity, integers beyond 64 bits, text that is not Unicode, anything else.
    """
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _refuse_surrogates(value)
        return value
    if value is None or kind is bool:
        return value
    if kind is int:
        if not -_MAX_INT <= value < _MAX_INT:
            raise FeatureError(f"the output holds the integer {value}, which needs more than 64 bits")
        return value
    if kind is float:
        if not isfinite(value):
            raise FeatureError(
                f"the output holds {value}, which JSON does not have", hint="Return None instead."
            )
        return value
    if kind is dict:
        return {key if type(key) is str else _key(key): to_plain(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [to_plain(item) for item in value]
    return to_plain(_converted(value))


def _converted(value: Any) -> Any:
    """One step nearer to plain data."""
    if _is_foreign(value):
        return _foreign(value)
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, str):  # a subclass
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)  # the same set, the same list
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=_foreign)
    except (TypeError, msgspec.ValidationError) as cause:
        raise _no_json(value) from cause


def _is_foreign(value: Any) -> bool:
    return hasattr(value, "model_dump") or type(value).__module__ == "numpy"


def _foreign(value: Any) -> Any:
    """Pydantic's and numpy's values, which msgspec does not know."""
    if not _is_foreign(value):
        raise _no_json(value)
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value.tolist()


def _key(key: Any) -> str:
    plain = to_plain(key)
    if isinstance(plain, (str, int, float)):
        return str(plain)
    raise FeatureError(f"the output has a {type(key).__name__} as a key; JSON has text keys only")


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as cause:
        raise FeatureError(f"the output holds text that is not Unicode: {cause.reason}") from None


def _no_json(value: Any) -> FeatureError:
    return FeatureError(
        f"the feature returned {type(value).__name__}, which is not JSON data",
        hint="Return text, numbers, lists, dicts, dataclasses or pydantic models.",
    )
