"""One real input as both sides answered it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shiftright.core.answer import Answer
from shiftright.core.case import Case
from shiftright.core.score import Score
from shiftright.core.spec import Spec
from shiftright.datasets.result_files import ResultRow
from shiftright.evals.compare.metrics import Scales
from shiftright.evals.compare.pairing import Pair
from shiftright.evals.target import quality

Scores = dict[str, Score]


class Replayed(msgspec.Struct, frozen=True):
    """``old`` is the answer of the side that serves, ``new`` of the one that would; Scores are by check. ``unit`` is
    the case's group and ``closes`` marks its last case, as in a decision. ``liked`` is what users said of the trace,
    the mean of their signals in [0, 1]; None where nobody said anything."""

    case: Case
    unit: str
    closes: bool
    old: Answer
    new: Answer
    old_scores: Scores = {}
    new_scores: Scores = {}
    liked: float | None = None


def scales(spec: Spec) -> Scales:
    """Per check of the output its worst and best value."""
    return {
        check.name: (1.0, 0.0) if check.clause("at_most") else (0.0, 1.0)
        for check in spec.checks
        if quality(check)
    }


def as_pairs(replayed: Sequence[Replayed], spec: Spec) -> list[Pair]:
    """As the comparison of two recorded runs has them."""
    names = [check.name for check in spec.checks if quality(check)]
    return [
        Pair(
            one.case.id,
            (_row(one.case, one.old, one.old_scores, names),),
            (_row(one.case, one.new, one.new_scores, names),),
            one.case.group,
        )
        for one in replayed
    ]


def _row(case: Case, answer: Answer, scores: Scores, names: Sequence[str]) -> ResultRow:
    failure = answer.failure
    found = {} if failure else {n: v for n in names if n in scores and (v := scores[n].value) is not None}
    broken = next((scores[n].failure for n in names if n in scores and scores[n].failure), None)
    return ResultRow(
        case_id=case.id,
        input=case.value,
        output=answer.output,
        expected=case.expected,
        scores=found,
        failure=f"{failure.kind}: {failure.message}" if failure else broken,
        latency_s=answer.latency_s,
        cost_usd=answer.cost_usd,
        group=case.group,
        tags=case.tags,
    )
