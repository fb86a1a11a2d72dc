"""A variant on the dev cases: every case is run and scored, nothing is decided, and everything may be looked at."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from shiftright import datasets, features, scorers
from shiftright import spec as specs
from shiftright.core.case import Case
from shiftright.errors import UsageError
from shiftright.evals.scoring import Scores, Scoring, passed
from shiftright.evals.target import quality
from shiftright.features.current import baseline_variant, named_variant
from shiftright.models.budget import Budget
from shiftright.settings import Settings
from shiftright.store import Records

AT_ONCE = 8


class DevCase(msgspec.Struct, frozen=True):
    """One dev case and what became of it; ``failure`` where there is no output."""

    case_id: str
    input: Any
    expected: Any
    output: Any
    failure: str | None
    scores: Scores
    passed: bool


class DevRun(msgspec.Struct, frozen=True):
    """``means`` are over the measured cases, by check that scores an output."""

    feature: str
    variant: str
    means: dict[str, float]
    cases: tuple[DevCase, ...]
    cost_usd: float | None


async def run_on_dev(
    feature: str,
    settings: Settings,
    records: Records,
    *,
    variant: str | None = None,
    budget: Budget | None = None,
) -> DevRun:
    """Run and score the dev cases; model answers are kept as in an eval. Without ``variant`` the baseline runs.

    Raises:
        UsageError: for an unknown feature or variant, or a contract without dev cases.
        Error: what keeps the feature from being called.
    """
    spec = specs.load(specs.find(feature, settings.root))
    if "dev" not in spec.cases:
        raise UsageError(
            f"{spec.feature} has no dev cases, and gate cases are not tuned on",
            hint="Write cases: {dev: dev.jsonl, gate: gate.jsonl}.",
        )
    chosen = named_variant(spec, variant) if variant else baseline_variant(spec)
    loaded = features.load(spec, chosen)
    # a pairwise judge needs the other side, and the measures of a call are in its answer
    checks = tuple(check for check in spec.checks if quality(check) and not check.params.get("pairwise"))
    built = {check.name: scorers.build(check, spec, output_schema=loaded.output_schema) for check in checks}
    part = msgspec.structs.replace(spec, checks=checks)
    scoring = Scoring(part, built, cache=records.model_cache, budget=budget)
    together = asyncio.Semaphore(AT_ONCE)
    spent: list[float | None] = []

    async def one(case: Case) -> DevCase:
        async with together:
            answer = await features.call(
                loaded, case.value, case_id=case.id, cache=records.model_cache, budget=budget
            )
            scores = await scoring.score(case, answer)
        spent.append(answer.spent_usd)
        failure = None if answer.failure is None else f"{answer.failure.kind}: {answer.failure.message}"
        return DevCase(
            case.id, case.value, case.expected, answer.output, failure, scores, passed(part, answer, scores)
        )

    try:
        cases = await asyncio.gather(*(one(case) for case in datasets.load(spec.cases["dev"]).cases))
    finally:
        await loaded.close()
    cost = None if None in spent else sum(each or 0.0 for each in spent)
    return DevRun(spec.feature, chosen.name, _means(tuple(cases)), tuple(cases), cost)


def _means(cases: tuple[DevCase, ...]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for case in cases:
        for name, score in case.scores.items():
            if score.value is not None:
                values.setdefault(name, []).append(score.value)
    return {name: sum(found) / len(found) for name, found in values.items()}
