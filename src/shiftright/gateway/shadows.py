"""Copies of live requests for a release that nobody is served by yet: asked behind the answer, told to nobody."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from shiftright.gateway.access import ANYBODY, Access
from shiftright.gateway.refusal import Refusal
from shiftright.gateway.rollouts import Rollouts, exposure
from shiftright.gateway.routing import Route
from shiftright.gateway.spans import Assigned, Record, ids_of
from shiftright.store.intake import Intake
from shiftright.store.rows import ExposureRow

_log = logging.getLogger("shiftright.gateway")
AT_ONCE = 4
"""Copies under way; a request beyond them is not copied."""

Again = Callable[[Route, Any, Record], Awaitable[None]]
"""Answers the same request from another route, on a ``proto``, noted in a record of its own."""


class Shadows:
    """Ends what was part of a rollout: it is recorded, and copied while the rollout is in the shadow."""

    def __init__(self, rollouts: Rollouts, access: Access, intake: Intake, feedback_key: bytes) -> None:
        self.rollouts = rollouts
        self._access, self._intake, self._feedback_key = access, intake, feedback_key
        self._offered: dict[str, Again] = {}
        self._copied: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, record: Record, again: Again) -> None:
        """How a request can be asked again once it is over; kept only where it is to be."""
        if record.assigned is not None and self.rollouts.shadow(record.feature) is not None:
            self._offered[record.ids.span_id] = again

    def end(self, record: Record) -> None:
        """The answer has gone. Never blocks."""
        again = self._offered.pop(record.ids.span_id, None)
        live = exposure(record)
        if live is None:
            return
        if live.probability > 0.0:
            self.rollouts.add(live)
        elif again is not None and (where := self._room(record)) is not None:
            task = asyncio.create_task(self._copy(record, live, again, where))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _room(self, record: Record) -> Route | None:
        """Where a copy may go: the shadow's size, its pace and the feature's month are bounds."""
        found = self.rollouts.shadow(record.feature)
        if found is None or len(self._tasks) >= AT_ONCE:
            return None
        rollout, route = found
        if self._copied.get(rollout.id, 0) >= rollout.plan.shadow:
            return None
        try:
            self._access.allow(ANYBODY, record.feature, "")
        except Refusal:
            return None  # the month is used up, which the feature's own requests are told
        self._copied[rollout.id] = self._copied.get(rollout.id, 0) + 1
        return route

    async def _copy(self, live: Record, row: ExposureRow, again: Again, route: Route) -> None:
        copy = Record(
            ids_of(None, self._feedback_key),
            time.time_ns(),
            live.path,
            # a called feature says so itself
            "chat" if live.operation == "feature" else live.operation,
            shadow_of=live.feature,
            variant=route.variant_name,
            asked=live.asked,
            input=live.input,
            stream=live.stream,
            assigned=Assigned(row.rollout_id, "shadow", 0.0, row.unit, time.monotonic()),
        )
        try:
            await again(route, Nobody(), copy)
        except Refusal as refusal:
            copy.error, copy.status = copy.error or refusal.message, refusal.status
        except Exception as error:  # noqa: BLE001 - the candidate failed on this request: that is its outcome
            _log.exception("a shadow copy failed")
            copy.error, copy.status = f"the gateway failed ({type(error).__name__})", 500
        shadowed = exposure(copy)
        assert shadowed is not None
        self._intake.offer([copy.row(), *copy.children])
        self._access.spend(ANYBODY, live.feature, copy.charged_usd)
        self.rollouts.add(row, shadowed)


class Nobody:
    """Takes an answer as a client's connection does, and keeps none of it."""

    def response_bytes(self, status: int, headers: Any, body: bytes) -> None:
        pass

    def response_stream(self, status: int, headers: Any) -> Nobody:
        return self

    async def send_bytes(self, data: bytes) -> None:
        pass
