"""An Estimate: a value with its interval and what it rests on."""

from __future__ import annotations

import msgspec


class Estimate(msgspec.Struct, frozen=True):
    """``value`` is None when ``n``, the independent units behind it, is 0. The interval holds at ``level``."""

    value: float | None
    interval: tuple[float, float]
    n: int
    level: float = 0.95
