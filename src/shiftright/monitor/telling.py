"""Telling people: the outbox is emptied into the channels, at least once each, and given up after some hours."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from itertools import groupby

from shiftright.core.seams import Notifier
from shiftright.errors import Error, StoreError, UsageError
from shiftright.monitor.notices import group_of, notice
from shiftright.store import Records
from shiftright.store.leases import new_holder
from shiftright.store.notifications import Notification

_log = logging.getLogger("shiftright.monitor")

ATTEMPTS = 8
EVERY_S = 2.0
_LEASE_S = 60.0
_LONGEST_END_S = 1.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 5.0, 3600.0


def wait_after(attempts: int) -> float | None:
    """Seconds until the next attempt after so many; None: there is none. Eight of them take about 2.4 hours."""
    return None if attempts >= ATTEMPTS else min(_FIRST_WAIT_S * 4.0 ** (attempts - 1), _LONGEST_WAIT_S)


class Telling:
    """Empties the outbox into the channels. Any process may; the lease lets one."""

    def __init__(self, records: Records, channels: Mapping[str, Notifier]) -> None:
        self._records, self._channels = records, channels
        self._holder = new_holder()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shiftright-telling", daemon=True)

    def tell(self) -> None:
        """Send what is due; a channel that does not answer holds up no other. Blocks.

        Raises:
            StoreError: the records cannot be read or written.
        """
        for review in self._records.reviews.tell_overdue():
            _log.warning("%s: escalation %s is overdue", review.feature, review.id)
        if not self._records.notifications.due(1):
            return
        if not self._records.notifications.take_lease(self._holder, _LEASE_S):
            return
        for row in self._records.notifications.due():
            if not row.channel:
                self._records.notifications.address(row, self._wanted(row))
        rows = sorted(
            (row for row in self._records.notifications.due() if row.channel), key=lambda row: row.channel
        )
        by_channel = [tuple(found) for _, found in groupby(rows, key=lambda row: row.channel)]
        if not by_channel:
            return
        threads = [
            threading.Thread(target=self._channel, args=(found,), name="shiftright-notify", daemon=True)
            for found in by_channel
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop. What is being sent may be sent again by the next process: a restart does not wait for a mail server."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(_LONGEST_END_S)
        try:
            self._records.notifications.release_lease(self._holder)
        except StoreError as error:
            _log.warning("the lease on notifications runs out by itself: %s", error)

    def _run(self) -> None:
        while not self._closing.wait(EVERY_S):
            try:
                self.tell()
            except StoreError as error:
                _log.warning("notifications wait for the records: %s", error)

    def _wanted(self, row: Notification) -> tuple[str, ...]:
        """An escalation goes to the channel of its group's name, where there is one; all else to all."""
        group = group_of(self._records, row)
        return (group,) if group in self._channels else tuple(self._channels)

    def _channel(self, rows: tuple[Notification, ...]) -> None:
        """One channel's, in order, until one fails: the others behind it would too."""
        try:
            for row in rows:
                # a slow channel must not lose us the lease
                held = self._records.notifications.take_lease(self._holder, _LEASE_S)
                if self._closing.is_set() or not held or not self._one(row):
                    return
        except StoreError as error:
            _log.warning("notifications wait for the records: %s", error)

    def _one(self, row: Notification) -> bool:
        try:
            notifier = self._channels.get(row.channel)
            if notifier is None:
                raise UsageError("shiftright.yaml names this channel no more")
            notifier.notify(notice(self._records, row))
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  a stranger's notifier may raise anything: it is recorded
            said = error.message if isinstance(error, Error) else f"{type(error).__name__}"
            again = wait_after(row.attempts + 1)
            self._records.notifications.failed(row, said, again_in_s=again)
            _log.warning(
                "%s was not told of %s (%s): %s",
                row.channel,
                row.about,
                said,
                "given up" if again is None else f"again in {again:g} s",
            )
            return False
        self._records.notifications.sent(row)
        return True


async def keep_telling(telling: Telling) -> None:
    """Tell until cancelled."""
    telling.start()
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(telling.close)
