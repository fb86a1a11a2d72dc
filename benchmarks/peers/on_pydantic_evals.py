"""pydantic-evals: a Dataset evaluated in process; the report stays in memory."""

from __future__ import annotations

import asyncio

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EqualsExpected
from task import CONCURRENCY, cases, report, trivial

dataset = Dataset(
    name="trivial",
    cases=[Case(name=row["id"], inputs=row["input"], expected_output=row["expected"]) for row in cases()],
    evaluators=[EqualsExpected()],
)
found = asyncio.run(dataset.evaluate(trivial, max_concurrency=CONCURRENCY, progress=False))
report(all(answer.value for answer in case.assertions.values()) for case in found.cases)
