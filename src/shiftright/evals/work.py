"""One case of a run: both sides' answers and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from shiftright.core.case import Case
from shiftright.core.score import Score
from shiftright.core.spec import Spec
from shiftright.decisions.lock import BaselineScore
from shiftright.decisions.order import Step
from shiftright.decisions.units import CaseScores, Values
from shiftright.evals.calling import Caller
from shiftright.evals.scoring import Scores, Scoring, passed, values_of
from shiftright.store.rows import ConsumedRow, RunCase, StoredAnswer


class CaseRun(msgspec.Struct, frozen=True, gc=False):
    """What one case gave: answers, Scores, and the values that the decision sees (``baseline_values`` may come from the
    lock, without answers). ``asked_again`` is the baseline's answer that checks what is remembered of it, or, where
    ``witnessed``, whether anything at all can be answered here."""

    case: Case
    unit: str
    closes: bool
    candidate: tuple[StoredAnswer, ...]
    baseline: tuple[StoredAnswer, ...]
    candidate_scores: tuple[Scores, ...]
    baseline_scores: tuple[Scores, ...]
    candidate_values: dict[str, Values]
    baseline_values: dict[str, Values]
    asked_again: tuple[StoredAnswer, ...] = ()
    witnessed: bool = False

    def evidence(self) -> CaseScores:
        """What the decision sees."""
        return CaseScores(self.case.id, self.candidate_values, self.baseline_values, self.unit, self.closes)

    def passed(self, spec: Spec) -> bool:
        """As a ``must`` case: on every repeat."""
        pairs = zip(self.candidate, self.candidate_scores, strict=True)
        return all(passed(spec, row.answer, scores) for row, scores in pairs)

    def run_case(self, run_id: str, split: str, position: int) -> RunCase:
        """What ``show`` and the report read."""
        return RunCase(
            run_id=run_id,
            split=split,
            position=position,
            case_id=self.case.id,
            case_digest=self.case.digest,
            candidate=tuple([row.id for row in self.candidate]),
            baseline=tuple([row.id for row in self.baseline]),
            candidate_scores=by_check(self.candidate_scores),
            baseline_scores=by_check(self.baseline_scores),
        )

    def consumed(self, decision_id: str, position: int) -> ConsumedRow:
        return ConsumedRow(
            decision_id,
            position,
            self.case.id,
            self.case.digest,
            self.candidate_values,
            self.baseline_values,
            self.closes,
        )


class Work:
    """Runs a case: the baseline where its scores are not known yet, then the candidate ``repeats`` times.

    ``first_repeat`` moves a later attempt to fresh answers. ``locked`` maps case ids to baseline scores of the lock.
    """

    def __init__(
        self,
        scoring: Scoring,
        candidate: Caller,
        baseline: Caller | None,
        *,
        repeats: int = 1,
        first_repeat: int = 0,
        baseline_repeats: int = 1,
        first_baseline_repeat: int = 0,
        locked: Mapping[str, BaselineScore] | None = None,
    ) -> None:
        self._scoring, self._candidate, self._baseline = scoring, candidate, baseline
        self._repeats = range(first_repeat, first_repeat + repeats)
        self._baseline_repeats = range(first_baseline_repeat, first_baseline_repeat + baseline_repeats)
        self._locked = locked or {}

    async def __call__(self, step: Step) -> CaseRun:
        case = step.case
        locked = self._known_baseline(case)
        baseline: Sequence[StoredAnswer] = ()
        if self._baseline is not None and locked is None:
            baseline = [await self._baseline.call(case, repeat) for repeat in self._baseline_repeats]
        other = baseline[0].answer if baseline else None
        # a pairwise judge sees the baseline against itself: a tie
        base_scores = [
            await self._scoring.score(case, row.answer, row.answer, repeat=row.repeat) for row in baseline
        ]
        candidate = [await self._candidate.call(case, repeat) for repeat in self._repeats]
        for row in candidate:
            self._scoring.require_price(row.answer)
        scores = [await self._scoring.score(case, row.answer, other, repeat=row.repeat) for row in candidate]
        return CaseRun(
            case,
            step.unit,
            step.closes,
            tuple(candidate),
            tuple(baseline),
            tuple(scores),
            tuple(base_scores),
            values_of(scores),
            values_of(base_scores) if locked is None else locked,
        )

    def _known_baseline(self, case: Case) -> dict[str, Values] | None:
        """The lock's scores, where they are of this very case, repeated often enough, and no stored answer is there
        (answers are worth more: the report shows them)."""
        if self._baseline is None:
            return None
        known = self._locked.get(case.id)
        if known is None or known.digest != case.digest:
            return None
        if any(value is None for values in known.scores.values() for value in values):
            return None  # a measurement that failed is made again
        repeats = min((len(values) for values in known.scores.values()), default=0)
        if repeats < len(self._baseline_repeats) or self._baseline.knows(case, self._baseline_repeats):
            return None
        return known.scores


def by_check(repeats: Sequence[Scores]) -> dict[str, tuple[Score, ...]]:
    """Per check its Scores, one per repeat."""
    if len(repeats) == 1:
        return {name: (score,) for name, score in repeats[0].items()}
    return {name: tuple([scores[name] for scores in repeats]) for name in (repeats[0] if repeats else ())}
