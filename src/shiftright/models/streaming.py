"""A stream with an end: opened with retries, cut off when it takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter

from pydantic_ai.models import StreamedResponse

from shiftright.errors import ModelTimeout
from shiftright.models.failures import CAUGHT, translate
from shiftright.models.retry import RetryPolicy, attempt


@asynccontextmanager
async def bounded(
    open_stream: Callable[[], AbstractAsyncContextManager[StreamedResponse]],
    policy: RetryPolicy,
    model: str,
    total_s: float | None,
) -> AsyncGenerator[StreamedResponse]:
    """A stream from ``open_stream``: what fails before its first event is tried again, what fails later is not.

    Raises:
        ModelTimeout: when the stream has not ended in ``total_s`` (default: the policy's) seconds.
        Error: what ``attempt`` raises, and a failure in mid-stream as ours.
    """
    allowed = policy.total_s if total_s is None else total_s
    began = perf_counter()

    async def opened() -> tuple[AbstractAsyncContextManager[StreamedResponse], StreamedResponse]:
        opening = open_stream()
        return opening, await opening.__aenter__()

    (context, stream), _ = await attempt(opened, policy, model, total_s)
    watch = asyncio.create_task(_cut_off(stream, allowed - (perf_counter() - began)))
    try:
        try:
            yield stream
        except BaseException as error:
            if not await context.__aexit__(type(error), error, error.__traceback__):
                raise
        else:
            await context.__aexit__(None, None, None)
    except CAUGHT as error:
        if stream.cancelled:
            raise _too_long(model, allowed) from error
        raise translate(error, model)[0] from error
    finally:
        cut = watch.done()
        watch.cancel()
    if cut:
        watch.result()
        raise _too_long(model, allowed)


async def _cut_off(stream: StreamedResponse, seconds: float) -> None:
    await asyncio.sleep(max(0.0, seconds))
    await stream.cancel()


def _too_long(model: str, seconds: float) -> ModelTimeout:
    return ModelTimeout(
        f"{model} streamed for {seconds:.3g} s without coming to an end",
        hint="Give the variant a longer `timeout:` (seconds), or cap the answer with `max_tokens:`.",
    )
