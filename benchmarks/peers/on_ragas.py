"""ragas: a Dataset and an @experiment in memory. It bounds no concurrency: the semaphore is ours."""

from __future__ import annotations

import asyncio

from ragas import Dataset, experiment
from task import CONCURRENCY, cases, report, trivial

free = asyncio.Semaphore(CONCURRENCY)


@experiment()
async def answer(row):
    async with free:
        output = await trivial(row["input"])
    return {**row, "output": output, "score": float(output == row["expected"])}


dataset = Dataset(name="trivial", backend="inmemory", data=cases())
found = asyncio.run(answer.arun(dataset, name="trivial"))
report(row["score"] for row in found)
