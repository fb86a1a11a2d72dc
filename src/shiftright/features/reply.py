"""What a feature can answer with instead of a bare output."""

from __future__ import annotations

from typing import Any, NamedTuple

from shiftright.core.answer import Usage


class Reply(NamedTuple):
    """An output that knows what it took when it was made (recorded answers, other people's processes)."""

    output: Any
    latency_s: float | None = None
    usage: Usage = Usage()
