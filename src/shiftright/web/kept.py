"""Values that take long to make and may be a few seconds old."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")

KEPT_S = 5.0


class _Entry(Generic[Value]):
    def __init__(self) -> None:
        self.lock = Lock()
        self.made: tuple[float, object, Value] | None = None


class Kept(Generic[Value]):
    """One value per name, for ``seconds``. Whoever asks while it is being made waits for that one: ten open pages cost
    as much as one. There are as many entries as names, which are to be few."""

    def __init__(self, seconds: float = KEPT_S) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._entries: dict[str, _Entry[Value]] = {}

    def get(self, name: str, source: object, make: Callable[[], Value]) -> Value:
        """
        Args:
            source: what it is made from; another one makes it anew.
        """
        with self._lock:
            entry = self._entries.setdefault(name, _Entry())
        with entry.lock:
            if entry.made is not None:
                until, made_from, value = entry.made
                if time.monotonic() < until and made_from == source:
                    return value
            value = make()
            entry.made = time.monotonic() + self._seconds, source, value
            return value
