"""Bounded concurrency whose results come out in the recorded order, whatever the order of completion."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from shiftright.errors import Error

Input = TypeVar("Input")
Output = TypeVar("Output")

# Results are handed on together when they come quicker than this: the work per hand-over is then shared, and a slow
# model's results are still judged one by one.
HAND_OVER_S = 0.02
HAND_OVER_AT = 25


class OrderedPool(Generic[Input, Output]):
    """Runs ``work`` over ``inputs`` with ``concurrency`` workers; ``use`` gets results in input order.

    ``use`` returns True when no more are needed: workers then end what they have begun (it is paid for) and its results
    are still handed to ``surplus``. Workers never run more than ``2 * concurrency`` inputs ahead of the first one that
    is not finished, which bounds memory and waste. After an ``Error`` in ``work`` (a cap, a provider that is down)
    nothing new is begun, what is under way ends, the finished prefix is used, and the error is raised; any other
    exception cancels everything.
    """

    def __init__(
        self,
        work: Callable[[Input], Awaitable[Output]],
        use: Callable[[Sequence[Output]], bool],
        surplus: Callable[[Output], None],
        *,
        concurrency: int,
    ) -> None:
        self._work, self._use, self._surplus = work, use, surplus
        self._concurrency = concurrency
        self._done: dict[int, Output] = {}
        self._ready: list[Output] = []
        self._next = 0
        self._frontier = 0
        self._handed_at = 0.0
        self._enough = False
        self._stopped: Error | None = None
        self._moved = asyncio.Event()

    async def run(self, inputs: Sequence[Input]) -> bool:
        """Until ``use`` has enough or the inputs end. Returns whether it had enough."""
        if not inputs:
            return False
        count = min(self._concurrency, len(inputs))
        if count == 1:
            await self._worker(inputs)
        else:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(count):
                        group.create_task(self._worker(inputs))
            except BaseExceptionGroup as failed:
                # one worker's error is the run's error; the others were cancelled because of it
                raise failed.exceptions[0] from None
        if not self._enough:
            self._hand_over()
        for output in self._done.values():
            self._surplus(output)
        if self._stopped is not None and not self._enough:
            raise self._stopped
        return self._enough

    async def _worker(self, inputs: Sequence[Input]) -> None:
        work, total, ahead = self._work, len(inputs), 2 * self._concurrency
        while not self._enough and self._stopped is None and self._next < total:
            index = self._next
            if index - self._frontier >= ahead:
                self._moved.clear()
                await self._moved.wait()
                continue
            self._next += 1
            try:
                output = await work(inputs[index])
            except Error as error:
                self._stopped = self._stopped or error
                self._moved.set()
                return
            if index % HAND_OVER_AT == 0:
                # a feature that never waits must not keep the loop from signals and timers
                await asyncio.sleep(0)
            if self._enough:
                self._surplus(output)
                continue
            if index == self._frontier:
                self._advance(output)
            else:
                self._done[index] = output

    def _advance(self, output: Output) -> None:
        ready, done = self._ready, self._done
        ready.append(output)
        self._frontier += 1
        while self._frontier in done:
            ready.append(done.pop(self._frontier))
            self._frontier += 1
        self._moved.set()
        now = time.monotonic()
        if len(ready) >= HAND_OVER_AT or now - self._handed_at >= HAND_OVER_S:
            self._hand_over()
            self._handed_at = now

    def _hand_over(self) -> None:
        ready, self._ready = self._ready, []
        if ready and self._use(ready):
            self._enough = True
            self._moved.set()
