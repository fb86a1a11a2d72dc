"""The way of spans into the telemetry store: one thread writes, in groups; nobody who serves a user waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Condition, Thread

from shiftright.core.trace import SpanRow
from shiftright.errors import StoreError
from shiftright.store.telemetry import TelemetryStore

Listener = Callable[[Sequence[SpanRow]], None]

_COMPANY = 2_000
_COMPANY_S = 0.02

_log = logging.getLogger("shiftright.telemetry")


class Intake:
    """Collects spans for a store and writes them on its own thread, every ``flush_s`` seconds at the latest.

    At most ``largest`` spans wait. What is handed to ``commit`` is written within 20 ms, together with all that
    waits (group commit). ``prepare`` may change spans on that thread before they are written.
    """

    def __init__(
        self,
        store: TelemetryStore,
        *,
        flush_s: float = 0.5,
        largest: int = 50_000,
        prepare: Callable[[Sequence[SpanRow]], None] | None = None,
    ) -> None:
        self._store = store
        self._prepare = prepare
        self._flush_s = flush_s
        self._largest = largest
        self._changed = Condition()
        self._waiting: list[SpanRow] = []
        self._promises: list[Future[None]] = []
        self._listeners: list[Listener] = []
        self._closed = False
        self.dropped = 0
        """Spans lost so far: offered when there was no room, or when the store could not be written."""
        self.untraced = 0
        """Requests refused without a known key that left no trace: there were too many."""
        self.failure: StoreError | None = None
        """Why the last write failed; None after one that worked."""
        self._thread = Thread(target=self._run, name="shiftright-intake", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Spans that wait to be written."""
        return len(self._waiting)

    def has_room(self, spans: int) -> bool:
        """Would so many spans be taken now?"""
        return not self._closed and len(self._waiting) + spans <= self._largest

    def offer(self, spans: Sequence[SpanRow]) -> bool:
        """Take spans that nobody waits for. Never blocks; False when there was no room: they are dropped, counted."""
        with self._changed:
            if not self.has_room(len(spans)):
                self.dropped += len(spans)
                return False
            if spans and not self._waiting:
                self._changed.notify()
            self._waiting.extend(spans)
            return True

    def commit(self, spans: Sequence[SpanRow]) -> Future[None]:
        """Done when the spans are durable. The future's exception is a StoreError when they could not be kept."""
        promise: Future[None] = Future()
        with self._changed:
            if not self.has_room(len(spans)):
                promise.set_exception(_closed() if self._closed else _overloaded(self._largest))
                return promise
            self._waiting.extend(spans)
            self._promises.append(promise)
            self._changed.notify()
        return promise

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` on the intake's thread after each write with the spans that were new."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Write what waits, then stop. The store stays open."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._promises or self._closed)
                # What is only offered may wait for company; a promise may not.
                self._changed.wait_for(lambda: self._promises or self._closed, timeout=self._flush_s)
                # Writing 2,000 spans at once takes half of what four times 500 take.
                self._changed.wait_for(
                    lambda: len(self._waiting) >= _COMPANY or self._closed, timeout=_COMPANY_S
                )
                spans, self._waiting = self._waiting, []
                promises, self._promises = self._promises, []
                ending = self._closed
            stored = self._write(spans, promises)
            for listener in self._listeners if stored else ():
                _tell(listener, stored)
            if ending:
                return

    def _write(self, spans: list[SpanRow], promises: list[Future[None]]) -> Sequence[SpanRow]:
        try:
            if self._prepare is not None:
                self._prepare(spans)
            stored = self._store.append(spans) if spans else ()
        except Exception as cause:  # noqa: BLE001  it is told to all who wait, counted, and the next write is tried
            error = cause if isinstance(cause, StoreError) else _unexpected(cause)
            # A full disk is told once, not five times a second; ``dropped`` counts on.
            if self.failure is None:
                _log.error("%d spans could not be stored: %s", len(spans), error)
            self.failure = error
            self.dropped += len(spans)
            for promise in promises:
                if promise.set_running_or_notify_cancel():
                    promise.set_exception(error)
            return ()
        self.failure = None
        for promise in promises:
            if promise.set_running_or_notify_cancel():
                promise.set_result(None)
        return stored


def _tell(listener: Listener, spans: Sequence[SpanRow]) -> None:
    try:
        listener(spans)
    except Exception:  # noqa: BLE001
        # One listener's trouble must not keep spans from being stored, nor from the other listeners.
        _log.exception("a listener to stored spans failed")


def _unexpected(cause: Exception) -> StoreError:
    error = StoreError(f"spans could not be stored: {type(cause).__name__}: {cause}")
    error.__cause__ = cause
    return error


def _overloaded(largest: int) -> StoreError:
    return StoreError(
        f"more than {largest} spans wait to be written", hint="Send again in a second; nothing was kept."
    )


def _closed() -> StoreError:
    return StoreError("telemetry is closing", hint="Send again when the server is up; nothing was kept.")
