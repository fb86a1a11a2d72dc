"""One policy of waiting and trying again, for every provider. The SDKs' own are switched off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeVar

import msgspec

from shiftright.core.counting import counted
from shiftright.errors import Error, ModelTimeout, ProviderError
from shiftright.models.failures import CAUGHT, translate

T = TypeVar("T")


class RetryPolicy(msgspec.Struct, frozen=True):
    """How long to wait for a model, in seconds.

    ``timeout_s`` bounds one attempt, ``total_s`` all of them with the waits between. The wait before attempt k is
    drawn from [0, ``base_s``·2^k], at most ``longest_wait_s`` (full jitter: AWS Architecture Blog, "Exponential
    Backoff And Jitter", 2015), unless the provider names one with Retry-After.
    """

    timeout_s: float = 60.0
    total_s: float = 180.0
    attempts: int = 5
    base_s: float = 0.5
    longest_wait_s: float = 20.0


async def attempt(
    make: Callable[[], Awaitable[T]], policy: RetryPolicy, model: str, total_s: float | None = None
) -> tuple[T, int]:
    """What ``make`` gives, and at which attempt.

    Raises:
        Error: the last attempt's, when trying again cannot help or there is no time or attempt left.
    """
    began = perf_counter()
    give_up_at = began + (policy.total_s if total_s is None else total_s)
    number = 0
    while True:
        number += 1
        allowed = min(policy.timeout_s, give_up_at - perf_counter())
        limit = asyncio.timeout(max(0.0, allowed))
        try:
            async with limit:
                return await make(), number
        except CAUGHT as error:
            failure, again = translate(error, model)
            if limit.expired():
                failure = ModelTimeout(
                    f"{model} gave no complete answer in {perf_counter() - began:.3g} s ({counted(number, 'attempt')})",
                    hint="Give the variant a longer `timeout:` (seconds) if the model is that slow.",
                )
            wait = _wait(failure, number, policy)
            if not again or number >= policy.attempts or perf_counter() + wait >= give_up_at:
                raise failure from error
        await asyncio.sleep(wait)


def _wait(failure: Error, number: int, policy: RetryPolicy) -> float:
    if isinstance(failure, ProviderError) and failure.retry_after is not None:
        return failure.retry_after
    longest = min(policy.longest_wait_s, policy.base_s * 2**number)
    return random.uniform(0.0, longest)  # noqa: S311  (spreads load; nothing secret)
