"""Features called on live traffic, on an event loop of their own: their code, and the import of the libraries
behind it, never holds up the requests that only pass through."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from shiftright.core.answer import Answer
from shiftright.core.spec import Spec, Variant
from shiftright.errors import Error
from shiftright.gateway.routing import Target
from shiftright.models.meter import Meter

T = TypeVar("T")
_log = logging.getLogger("shiftright.gateway")
_LONGEST_END_S = 1.0


_Key = tuple[str, str, Path]


class Calls:
    """A thread with an event loop; features are loaded on it once, and called on it."""

    def __init__(self, look_s: float = 2.0) -> None:
        self._loop = asyncio.new_event_loop()
        self._loaded: dict[_Key, tuple[Spec, Any, str]] = {}
        """With the digest of what it was loaded from: a prompt or code may change while the contract does not."""
        self._stale: set[_Key] = set()
        self._models: dict[Target, Any] = {}
        self._open = AsyncExitStack()
        self._loading = asyncio.Lock()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="shiftright-features", daemon=True
        )
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._follow(look_s), self._loop)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine run on the features' loop; cancelled with its caller, who then waits a moment for
        its end: it still says what was used."""
        try:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
        except asyncio.CancelledError:
            until = time.monotonic() + _LONGEST_END_S
            while inspect.getcoroutinestate(work) != inspect.CORO_CLOSED and time.monotonic() < until:  # noqa: ASYNC110 - an event would cost all calls
                await asyncio.sleep(0.005)
            raise

    async def call(self, spec: Spec, variant: Variant, value: Any, trace_id: str, meter: Meter) -> Answer:
        """One answer of a feature.

        Raises:
            Error: what no call can get past: a broken contract, no credentials.
        """
        return await self.run(self._call(spec, variant, value, trace_id, meter))

    async def describe(self, spec: Spec, variant: Variant) -> dict[str, Any]:
        """JSON Schemas of what a feature takes and gives; None where its code does not say."""
        return await self.run(self._describe(spec, variant))

    async def model(self, target: Target) -> Any:
        """A pydantic-ai model with its connections kept open; for coroutines on this loop.

        Raises:
            Error: there is no such model, or no key for it.
        """
        async with self._loading:
            if target not in self._models:
                made = await asyncio.to_thread(_made, target)
                self._models[target] = await self._open.enter_async_context(made)
        return self._models[target]

    async def close(self) -> None:
        await self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    async def _call(self, spec: Spec, variant: Variant, value: Any, trace_id: str, meter: Meter) -> Answer:
        from shiftright.features.call import call

        loaded = await self._load(spec, variant)
        return await call(loaded, value, case_id=trace_id, timeout_s=_longest_s(spec), meter=meter)

    async def _describe(self, spec: Spec, variant: Variant) -> dict[str, Any]:
        from shiftright.features.signature import input_schema

        loaded = await self._load(spec, variant)
        return {
            "feature": spec.feature,
            "variant": variant.name,
            "purpose": spec.purpose,
            "input": input_schema(loaded.input_type),
            "output": loaded.output_schema,
        }

    async def _load(self, spec: Spec, variant: Variant) -> Any:
        from shiftright.features.loading import load

        # two releases may be of one variant
        key = spec.feature, variant.name, variant.root
        async with self._loading:
            known = self._loaded.get(key)
            if known is not None and known[0] is spec and key not in self._stale:
                return known[1]
            try:
                loaded = await asyncio.to_thread(load, spec, variant)
                # made before it was loaded anew, so that a change in between is noticed the next time
                again = known is not None and known[0] is spec
                digest = known[2] if known and again else await asyncio.to_thread(_digest, loaded)
            except Error as error:
                if known is None or known[0] is not spec:
                    raise
                _log.warning("%s@%s goes on as it was before its files changed: %s", *key[:2], error)
                self._stale.discard(key)
                return known[1]
            self._loaded[key] = spec, loaded, digest
            self._stale.discard(key)
        if known is not None:
            await known[1].close()
        return loaded

    async def _follow(self, look_s: float) -> None:
        """Find what was loaded from files that are others now; it is loaded anew when it is called next."""
        pause = look_s
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            for key, (_, loaded, digest) in list(self._loaded.items()):
                now = await asyncio.to_thread(_digest, loaded)
                known = self._loaded.get(key)
                if now != digest and known is not None and known[1] is loaded:
                    self._loaded[key] = (*known[:2], now)
                    self._stale.add(key)
            # a large folder takes long to look through: at most a twentieth of the time goes into it
            pause = max(look_s, 20 * (time.monotonic() - began))

    async def _close(self) -> None:
        loaded, self._loaded = self._loaded, {}
        for _, each, _ in loaded.values():
            await each.close()
        await self._open.aclose()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def _digest(loaded: Any) -> str:
    from shiftright.features.identity import digest

    try:
        return digest(loaded)
    except (Error, OSError) as error:
        return f"cannot be read: {error}"


def _made(target: Target) -> Any:
    """Asked where and as its provider says; without one, what pydantic-ai knows by that name."""
    from shiftright.models.layers import LayeredModel
    from shiftright.models.naming import resolve
    from shiftright.models.providers import model_at
    from shiftright.models.retry import RetryPolicy

    provider = target.provider
    if provider is None:
        return resolve(target.name)
    wrapped = model_at(
        provider.dialect, provider.name, target.model, base_url=provider.base_url, api_key=provider.api_key
    )
    longest = provider.timeout_s
    # as what passes through: three attempts, and none after a silence
    policy = RetryPolicy(timeout_s=longest, total_s=longest, attempts=3, base_s=0.125)
    return LayeredModel(
        wrapped, name=target.name, settings={"timeout": longest}, price=target.price, retry=policy
    )


def _longest_s(spec: Spec) -> float | None:
    """Seconds one call may take: the tightest ``each_at_most`` of a latency check."""
    bounds = [
        clause.bound
        for check in spec.checks
        if check.score == "latency" and (clause := check.clause("each_at_most")) is not None
    ]
    return min(bounds, default=None)
