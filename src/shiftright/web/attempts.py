"""How often a wrong key may be tried: little by one address, not much more by all together."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Lock


class Attempts:
    """Remembers what failed within ``within_s`` seconds; never more than ``by_all`` of them, whoever tries."""

    def __init__(
        self,
        by_one: int = 10,
        by_all: int = 100,
        within_s: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._by_one, self._within_s, self._clock = by_one, within_s, clock
        self._failed: deque[tuple[float, str]] = deque(maxlen=by_all)
        self._lock = Lock()

    def wait_s(self, address: str) -> float:
        """0.0 when this address may try now; else seconds until it may."""
        now = self._clock()
        with self._lock:
            while self._failed and self._failed[0][0] <= now - self._within_s:
                self._failed.popleft()
            mine = [at for at, other in self._failed if other == address]
            if len(mine) >= self._by_one:
                return mine[-self._by_one] + self._within_s - now
            if len(self._failed) == self._failed.maxlen:
                return self._failed[0][0] + self._within_s - now
        return 0.0

    def failed(self, address: str) -> None:
        with self._lock:
            self._failed.append((self._clock(), address))
