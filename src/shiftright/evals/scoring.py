"""From an Answer to Scores, and from Scores to the numbers the decision sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from shiftright.core.answer import Answer
from shiftright.core.case import Case
from shiftright.core.score import Score, ScoreContext
from shiftright.core.seams import Scorer
from shiftright.core.spec import Check, Spec
from shiftright.decisions.units import Values
from shiftright.errors import Error, FeatureError, ModelError, ScorerError, SpecError
from shiftright.evals import veil
from shiftright.models.budget import Budget
from shiftright.models.cache import ModelCache
from shiftright.models.scope import CallScope, use

Scores = dict[str, Score]


class Scoring:
    """Every check's score of one answer.

    A failed feature is scored as its own side's worst value; a scorer that fails gives a Score with ``failure``.
    ``paid`` is told what each judgement cost.
    """

    def __init__(
        self,
        spec: Spec,
        scorers: Mapping[str, Scorer],
        *,
        cache: ModelCache | None = None,
        budget: Budget | None = None,
        paid: Callable[[float | None], None] | None = None,
    ) -> None:
        self._spec, self._cache, self._budget, self._paid = spec, cache, budget, paid
        # a judge and the user's own scorers may ask models: those calls are cached and within the budget too
        self._asks = any(check.score == "judge" or ":" in check.score for check in spec.checks)
        self._checks = [
            (check, scorers[check.name], check.score in ("latency", "cost")) for check in spec.checks
        ]

    async def score(
        self, case: Case, answer: Answer, other: Answer | None = None, *, repeat: int = 0
    ) -> Scores:
        if case.sealed:
            with veil.errors_of(case):
                return veil.scores_of(case, await self._asked(case, answer, other, repeat))
        if not self._asks:
            return await self._score(case, answer, other)
        return await self._asked(case, answer, other, repeat)

    async def _asked(self, case: Case, answer: Answer, other: Answer | None, repeat: int) -> Scores:
        cache = None if case.sealed else self._cache
        with use(CallScope(case.id, repeat, cache, self._budget)):
            scores = await self._score(case, answer, other)
        if self._paid is not None:
            for score in scores.values():
                self._paid(score.cost_usd)
        return scores

    async def _score(self, case: Case, answer: Answer, other: Answer | None) -> Scores:
        scores: Scores = {}
        for check, scorer, measured in self._checks:
            if answer.failure is not None and not (measured and _unlimited(check)):
                scores[check.name] = _failed_feature(check, answer, measured)
                continue
            ctx = ScoreContext(case, answer, check.params, other)
            try:
                found = scorer.score(ctx)
                scores[check.name] = found if isinstance(found, Score) else await found
            except Exception as error:  # noqa: BLE001 - a failed measurement is data
                _refuse_stop(error)
                scores[check.name] = Score(check.name, failure=f"{type(error).__name__}: {error}")
        return scores

    def require_price(self, answer: Answer) -> None:
        """A cost clause without a price would be decided on nothing.

        Raises:
            SpecError: when the answer's cost is unknown although the contract limits cost.
        """
        if answer.cost_usd is not None or answer.failure is not None:
            return
        for check in self._spec.checks:
            if check.score == "cost":
                raise SpecError(
                    f"checks.{check.name}: no price is known for this variant's model",
                    file=self._spec.path,
                    line=check.line,
                    hint="Give the variant one: price: {input: 0.15 USD/M, output: 0.60 USD/M}",
                )


def _refuse_stop(error: Exception) -> None:
    """What stops a run must not become a score."""
    if isinstance(error, Error) and not isinstance(error, FeatureError | ModelError | ScorerError):
        raise error


def _unlimited(check: Check) -> bool:
    """A mean without a limit has no worst value: what a failed call did cost is all that can be said."""
    return check.clause("mean_at_most") is not None and check.clause("each_at_most") is None


def _failed_feature(check: Check, answer: Answer, measured: bool) -> Score:
    """The worst value of its own side: a wrong answer, or (None) one that is out of time and at the limit of cost."""
    assert answer.failure is not None
    worst = None if measured else 1.0 if check.clause("at_most") else 0.0
    return Score(
        check.name,
        value=worst,
        label="failed",
        explanation=f"{answer.failure.kind}: {answer.failure.message}",
    )


def values_of(repeats: Sequence[Scores]) -> dict[str, Values]:
    """Per check its values, one per repeat. Equal results are one object: scores take few values, cases are many."""
    if not repeats:
        return NOTHING
    names = tuple(repeats[0])
    values = tuple([tuple([scores[name].value for scores in repeats]) for name in names])
    shared = _shared.get((names, values))
    if shared is None:
        shared = dict(zip(names, values, strict=True))
        if len(_shared) < MOST_SHARED:
            _shared[names, values] = shared
    return shared


NOTHING: dict[str, Values] = {}
MOST_SHARED = 1_000
_shared: dict[tuple[tuple[str, ...], tuple[Values, ...]], dict[str, Values]] = {}


def passed(spec: Spec, answer: Answer, scores: Scores) -> bool:
    """What a ``must`` case has to do: be answered, measured by every check that scores an output, and pass each."""
    return answer.failure is None and all(
        _passed(check, scores[check.name]) for check in spec.checks if check.score not in ("latency", "cost")
    )


def _passed(check: Check, score: Score) -> bool:
    measured = score.failure is None and score.value is not None
    return measured and score.passed != bool(check.clause("at_most"))
