"""One input through a feature: what it was asked, what it answered, what each check says."""

from __future__ import annotations

from typing import Any

import msgspec

from shiftright import datasets, features, scorers
from shiftright import spec as specs
from shiftright.core.answer import Answer
from shiftright.core.case import Case, digest_of
from shiftright.core.score import Score
from shiftright.core.spec import Spec
from shiftright.errors import UsageError
from shiftright.evals.scoring import Scoring
from shiftright.features.current import baseline_variant, named_variant
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.tracing import attributes as names


class SingleRun(msgspec.Struct, frozen=True):
    """``prompts`` are the messages of each model call, in order. ``scores`` maps checks to what they say."""

    feature: str
    variant: str
    case: Case
    answer: Answer
    prompts: tuple[Any, ...]
    scores: dict[str, Score]


async def run_one(
    feature: str,
    settings: Settings,
    records: Records,
    *,
    variant: str | None = None,
    value: Any = None,
    case_id: str | None = None,
) -> SingleRun:
    """Call a feature on a case of its files (``case_id``) or on ``value``. Model calls are cached as in an eval.

    Without ``variant`` the baseline runs, else the first variant.

    Raises:
        UsageError: for an unknown feature, variant or case.
        Error: what keeps the feature from being called.
    """
    spec = specs.load(specs.find(feature, settings.root))
    chosen = named_variant(spec, variant) if variant else baseline_variant(spec)
    case = (
        _case(spec, case_id)
        if case_id is not None
        else Case("input", input=value, input_digest=digest_of(value))
    )
    loaded = features.load(spec, chosen)
    try:
        answer = await features.call(loaded, case.value, case_id=case.id, cache=records.model_cache)
    finally:
        await loaded.close()
    built = {
        check.name: scorers.build(check, spec, output_schema=loaded.output_schema) for check in spec.checks
    }
    scores = await Scoring(spec, built).score(case, answer)
    prompts = tuple(
        span.attributes[names.INPUT_MESSAGES]
        for span in answer.spans
        if names.INPUT_MESSAGES in span.attributes
    )
    return SingleRun(spec.feature, chosen.name, case, answer, prompts, scores)


def _case(spec: Spec, case_id: str) -> Case:
    known: list[str] = []
    for path in spec.cases.values():
        for case in datasets.load(path):
            if case.id == case_id and case.sealed:
                raise UsageError(f"{case_id} is sealed", hint="Run a case of dev, or an --input of your own.")
            if case.id == case_id:
                return case
            known.append(case.id)
    from difflib import get_close_matches

    near = get_close_matches(case_id, known, n=3) or known[:3]
    raise UsageError(f"{spec.feature} has no case {case_id!r}", hint=f"Near: {', '.join(near)}.")
