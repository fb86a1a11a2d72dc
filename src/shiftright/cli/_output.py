"""What leaves the process: one JSON document, or words; errors in either form."""

from __future__ import annotations

import json
import os
import sys
import traceback
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from shiftright.errors import Error
from shiftright.evals.report.visible import visible

PASS, FAIL, INCONCLUSIVE, ERROR = 0, 1, 2, 3
EXIT = {"pass": PASS, "fail": FAIL, "inconclusive": INCONCLUSIVE, "error": ERROR}


def prepare() -> None:
    """A terminal or file in a narrow encoding shows what it can, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def print_json(document: Any) -> None:
    """Exactly one JSON document on stdout, in UTF-8; structs and paths as data, no NaN and no infinity."""
    import msgspec

    plain = _finite(msgspec.to_builtins(document, enc_hook=_other))
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2)
    # half a surrogate pair has no UTF-8; as \udXXX it is what JSON calls it
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.flush()


def say(text: str = "") -> None:
    """A line on stdout, control characters visible."""
    sys.stdout.write(visible(text) + "\n")


def tell(text: str) -> None:
    """A line on stderr: what is no result."""
    sys.stderr.write(visible(text) + "\n")
    sys.stderr.flush()


def failed(error: Error, as_json: bool) -> int:
    """Say what went wrong and the way out; gives the exit code."""
    if as_json:
        print_json({"error": error.as_dict()})
    else:
        tell(f"error: {error}")
    _show_traceback(error)
    return ERROR


def unexpected(error: Exception, as_json: bool) -> int:
    """An exception nobody raised on purpose: a fault of this program, or of code it was given."""
    frames = traceback.extract_tb(error.__traceback__)
    place = frames[-1] if frames else None
    told = Error(
        f"unexpected {type(error).__name__}: {error}",
        file=place.filename if place else None,
        line=place.lineno if place else None,
        hint="This should not happen. SHIFTRIGHT_DEBUG=1 shows the traceback; please report it with the command.",
    )
    told.code = "unexpected"
    if os.environ.get("SHIFTRIGHT_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
    return failed(told, as_json)


def _show_traceback(error: Error) -> None:
    if os.environ.get("SHIFTRIGHT_DEBUG") and error.__traceback__ is not None:
        traceback.print_exception(error, file=sys.stderr)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        if isfinite(value):
            return value
        # evidence beyond every number is still more than any threshold
        return None if isnan(value) else sys.float_info.max if value > 0 else -sys.float_info.max
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _other(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} is no JSON")
