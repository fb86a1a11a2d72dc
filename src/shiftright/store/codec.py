"""Between nouns and columns: JSON as text, spans as MessagePack. Never pickle."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from shiftright.core.answer import Failure, Span, Usage
from shiftright.core.score import Score
from shiftright.core.verdict import Verdict
from shiftright.errors import StoreError

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()

decode_json = msgspec.json.Decoder().decode
decode_object = msgspec.json.Decoder(dict[str, Any]).decode
decode_usage = msgspec.json.Decoder(Usage).decode
decode_failure = msgspec.json.Decoder(Failure).decode
decode_verdict = msgspec.json.Decoder(Verdict).decode
decode_ids = msgspec.json.Decoder(tuple[str, ...]).decode
decode_scores = msgspec.json.Decoder(dict[str, tuple[Score, ...]]).decode
decode_values = msgspec.json.Decoder(dict[str, tuple[float | None, ...]]).decode
decode_spans = msgspec.msgpack.Decoder(tuple[Span, ...]).decode


def encode(value: Any) -> str:
    """JSON text.

    Raises:
        StoreError: when the value is not JSON data (an open file, half of a surrogate pair, NaN, …).
    """
    try:
        text = _json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _not_plain(error) from error
    # msgspec writes NaN as null; looking for one costs only where there is a null at all.
    if "null" in text:
        _refuse_non_finite(msgspec.to_builtins(value))
    return text


def encode_spans(spans: tuple[Span, ...]) -> bytes | None:
    """MessagePack, or None when there are none."""
    if not spans:
        return None
    try:
        return _msgpack.encode(spans)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _not_plain(error) from error


def _not_plain(error: Exception) -> StoreError:
    return StoreError(
        f"a value cannot be stored: {error}",
        hint="Return plain data: text, numbers, true/false, null, lists, and objects with text keys.",
    )


def _refuse_non_finite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise StoreError(f"{value} cannot be stored: JSON has no such number", hint="Use null for no value.")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for child in children:
        _refuse_non_finite(child)
