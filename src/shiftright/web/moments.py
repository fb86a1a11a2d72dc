"""Times and spans of time as people write them in an address: ``24h``, ``7d``, ``2026-11-22T10:00:00Z``."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from shiftright.errors import UsageError

_AGO = re.compile(r"([0-9]{1,6})\s*(m|h|d|w)")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LATEST_S = 9_000_000_000


def moment(text: str | None) -> int | None:
    """Nanoseconds since 1970 of a moment, or of so long ago; None for nothing.

    Raises:
        UsageError: when it is neither.
    """
    if text is None or not text.strip():
        return None
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return time.time_ns() - int(ago[1]) * _SECONDS[ago[2]] * 10**9
    try:
        found = datetime.fromisoformat(text.strip())
        seconds = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{text[:40]!r} is no time", hint="Write 30m, 24h, 7d, or a date like 2026-11-22T10:00:00Z."
        ) from error
    if not 0 <= seconds < _LATEST_S:
        raise UsageError(f"{text[:40]!r} is out of range", hint="Write a date since 1970.")
    return int(seconds * 10**9)
