"""Moving rollouts on: any process may, one at a time does, and what one leaves half done the next completes."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

import msgspec

from shiftright.core.rollout import OPEN, Rollout
from shiftright.errors import Error, StoreError
from shiftright.ship.aftermath import settle
from shiftright.ship.canary import Move
from shiftright.ship.following import Clock, Following
from shiftright.store import Records
from shiftright.store.leases import new_holder
from shiftright.store.rows import FollowedRow
from shiftright.tracing.exchange import Lookup

_log = logging.getLogger("shiftright.ship")
_LEASE_S = 20.0
EVERY_S = 2.0


async def keep_ticking(ticker: Ticker, moved: Callable[[], None]) -> None:
    """Tick for ever; ``moved`` is called on the ticks' thread after each that moved a rollout."""

    def once() -> None:
        try:
            if ticker.tick():
                moved()
        except StoreError as error:
            _log.warning("rollouts wait for the records: %s", error)

    try:
        while True:
            await asyncio.to_thread(once)
            await asyncio.sleep(EVERY_S)
    finally:
        ticker.close()


class Ticker:
    """Ticks every rollout of the records that is not settled. Safe to run anywhere, as often as one likes.

    State and chain, incident and reviews are separate writes: users are moved first, the rest follows, and a process
    killed in between leaves a row that says it is not settled.
    """

    def __init__(self, records: Records, lookup: Lookup | None = None, clock: Clock | None = None) -> None:
        self._records, self._lookup = records, lookup
        self._clock = clock or Clock()
        self._holder = new_holder()
        self._following: dict[str, Following] = {}
        self._held: set[str] = set()
        self._ticking = threading.Lock()
        self.failures: dict[str, str] = {}
        """Why a rollout could not be ticked last time, by id."""

    def tick(self) -> bool:
        """Blocks on the records. True when a rollout was moved.

        Raises:
            StoreError: the records cannot be read.
        """
        with self._ticking:
            rows = self._records.rollouts.unsettled()
            for gone in self._following.keys() - {row.rollout.id for row in rows}:
                del self._following[gone]
            moved = [self._guarded(row.rollout.id) for row in rows]
        return any(moved)

    def close(self) -> None:
        """Let others go on at once."""
        for rollout_id in self._held:
            try:
                self._records.rollouts.release_lease(rollout_id, self._holder)
            except StoreError as error:
                _log.warning("rollout %s: its lease runs out by itself: %s", rollout_id, error)
        self._held.clear()

    def _guarded(self, rollout_id: str) -> bool:
        """One rollout's trouble must not hold up the others."""
        try:
            moved = self._one(rollout_id)
        except Exception as error:  # noqa: BLE001 - recorded, told once, and tried again with the next tick
            # what is in memory may be ahead of the log: it is read again
            self._following.pop(rollout_id, None)
            said = f"{type(error).__name__}: {error}"
            if self.failures.get(rollout_id) != said:
                known = isinstance(error, Error)
                _log.error("rollout %s could not be moved on: %s", rollout_id, error, exc_info=not known)
            self.failures[rollout_id] = said
            return False
        self.failures.pop(rollout_id, None)
        return moved

    def _one(self, rollout_id: str) -> bool:
        if not self._records.rollouts.take_lease(rollout_id, self._holder, _LEASE_S):
            self._following.pop(rollout_id, None)
            return False
        self._held.add(rollout_id)
        row = self._records.rollouts.get(rollout_id)
        moved = False
        if row.rollout.state in OPEN:
            following = self._following.get(rollout_id)
            if following is None:
                following = self._following[rollout_id] = Following(row, self._clock)
            move, _ = following.tick(row, self._records)
            if move is None:
                return False
            moved = self._records.rollouts.change(
                row.rollout, moved_on(row.rollout, move, self._clock.wall())
            )
            row = self._records.rollouts.get(rollout_id)
        if row.rollout.state not in OPEN and not row.settled:
            self._finish(row)
        return moved

    def _finish(self, row: FollowedRow) -> None:
        settle(row, self._records, self._lookup)
        self._records.rollouts.release_lease(row.rollout.id, self._holder)
        self._held.discard(row.rollout.id)


def moved_on(rollout: Rollout, move: Move, at: float) -> Rollout:
    """The rollout after a move."""
    if move.to == "step":
        step = rollout.step + 1 if rollout.state == "canary" else 0
        return msgspec.structs.replace(rollout, state="canary", step=step, step_at=at, reason=move.reason)
    return msgspec.structs.replace(rollout, state=move.to, ended_at=at, step_at=at, reason=move.reason)
