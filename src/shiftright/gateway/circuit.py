"""A provider that fails again and again is left alone for a while."""

from __future__ import annotations

import time

_FAILURES = 5
_PAUSE_S = 10.0


class Circuit:
    """Opens after five failures in a row, for ten seconds; then one request at a time tries whether it works again."""

    __slots__ = ("_failures", "_opened_at", "_trying")

    def __init__(self) -> None:
        self._failures = 0
        self._opened_at = 0.0
        self._trying = False

    def wait_s(self) -> float:
        """0.0 when a request may go; else seconds until one may."""
        if self._failures < _FAILURES:
            return 0.0
        left = self._opened_at + _PAUSE_S - time.monotonic()
        if left > 0:
            return left
        if self._trying:
            return 1.0
        self._trying = True
        return 0.0

    def worked(self) -> None:
        self._failures = 0
        self._trying = False

    def failed(self) -> None:
        self._failures += 1
        self._opened_at = time.monotonic()
        self._trying = False

    def gave_up(self) -> None:
        """The request ended without telling anything: its client went. Or it is a stream that has begun, which tells at
        its end."""
        self._trying = False
