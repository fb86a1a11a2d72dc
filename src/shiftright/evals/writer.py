"""Makes a run durable while it goes on: one thread, one transaction a flush, a bounded queue."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from shiftright.store import Records
from shiftright.store.rows import ConsumedRow, RunCase, StoredAnswer

# About 2 MB of answers; beyond it the run waits for the disk rather than fill the memory.
LARGEST_BACKLOG = 2_000
# Flushes begin this far apart or after so many rows, so that quick answers share a transaction.
FLUSH_EVERY_S = 0.2
FLUSH_AT = 1_000


class Writer:
    """Group commit: what comes in between two flushes shares a transaction; each answer is on disk within about 0.2 s.

    The first error of the store is raised at the next ``add`` or at ``close``. A context manager.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        # a plain lock: nothing takes it twice, and every answer does once
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._answers: list[StoredAnswer] = []
        self._cases: list[RunCase] = []
        self._consumed: list[ConsumedRow] = []
        self._backlog = 0
        self._closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._flush_until_closed, name="shiftright-writer", daemon=True
        )
        self._thread.start()

    def add(
        self,
        *,
        answers: Sequence[StoredAnswer] = (),
        cases: Sequence[RunCase] = (),
        consumed: Sequence[ConsumedRow] = (),
    ) -> None:
        """Hand rows over; returns at once."""
        with self._lock:
            self._raise()
            self._answers += answers
            self._cases += cases
            self._consumed += consumed
            before, self._backlog = self._backlog, self._backlog + len(answers) + len(cases)
            if before == 0 or before < FLUSH_AT <= self._backlog:
                self._changed.notify()

    @property
    def full(self) -> bool:
        return self._backlog > LARGEST_BACKLOG

    def close(self) -> None:
        """Write what is left.

        Raises:
            StoreError: what kept rows from being written.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _flush_until_closed(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._backlog or self._closing)
                self._changed.wait_for(lambda: self._backlog >= FLUSH_AT or self._closing, FLUSH_EVERY_S)
                answers, self._answers = self._answers, []
                cases, self._cases = self._cases, []
                consumed, self._consumed = self._consumed, []
                closing, self._backlog = self._closing, 0
            try:
                if answers or cases or consumed:
                    self._records.write(answers=answers, cases=cases, consumed=consumed)
            except Exception as error:  # noqa: BLE001 - carried to the run's own thread by _raise
                self._error = error
                return
            if closing:
                return
