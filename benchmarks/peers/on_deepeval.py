"""DeepEval scores outputs that are there: the calls are a loop of ours, then `evaluate`."""

from __future__ import annotations

import asyncio
import contextlib
import io

from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig
from deepeval.metrics import ExactMatchMetric
from deepeval.test_case import LLMTestCase
from task import CACHE, CONCURRENCY, cases, report, trivial


async def answered() -> list[LLMTestCase]:
    free = asyncio.Semaphore(CONCURRENCY)

    async def one(row: dict[str, str]) -> LLMTestCase:
        async with free:
            output = await trivial(row["input"])
        return LLMTestCase(
            name=row["id"], input=row["input"], expected_output=row["expected"], actual_output=output
        )

    return await asyncio.gather(*map(one, cases()))


with contextlib.redirect_stdout(io.StringIO()):
    found = evaluate(
        asyncio.run(answered()),
        [ExactMatchMetric(verbose_mode=False)],
        async_config=AsyncConfig(max_concurrent=CONCURRENCY, throttle_value=0),
        cache_config=CacheConfig(write_cache=CACHE, use_cache=CACHE),
        display_config=DisplayConfig(show_indicator=False, print_results=False),
    )
report(case.success for case in found.test_results)
