"""From an Answer to Scores, and from Scores to the numbers the decision sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import isawaitable

from shiftright.core.answer import Answer
from shiftright.core.case import Case
from shiftright.core.score import Score, ScoreContext
from shiftright.core.seams import Scorer
from shiftright.core.spec import Check, Spec
from shiftright.decisions.units import Values
from shiftright.errors import SpecError

Scores = dict[str, Score]


class Scoring:
    """Every check's score of one answer.

    A failed feature is scored as its own side's worst value; a scorer that fails gives a Score with ``failure``.
    """

    def __init__(self, spec: Spec, scorers: Mapping[str, Scorer]) -> None:
        self._spec = spec
        self._checks = [
            (check, scorers[check.name], check.score in ("latency", "cost")) for check in spec.checks
        ]

    async def score(self, case: Case, answer: Answer, other: Answer | None = None) -> Scores:
        scores: Scores = {}
        for check, scorer, measured in self._checks:
            if answer.failure is not None and not measured:
                scores[check.name] = _failed_feature(check, answer)
                continue
            ctx = ScoreContext(case, answer, check.params, other)
            try:
                found = scorer.score(ctx)
                scores[check.name] = await found if isawaitable(found) else found
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
    from shiftright.errors import CapReached, CredentialsError, MissingDependency, StoreError

    if isinstance(error, CapReached | CredentialsError | MissingDependency | StoreError | SpecError):
        raise error


def _failed_feature(check: Check, answer: Answer) -> Score:
    assert answer.failure is not None
    worst = 1.0 if check.clause("at_most") else 0.0
    return Score(
        check.name,
        value=worst,
        label="failed",
        explanation=f"{answer.failure.kind}: {answer.failure.message}",
    )


def values_of(repeats: Sequence[Scores]) -> dict[str, Values]:
    """Per check its values, one per repeat."""
    if len(repeats) == 1:
        return {name: (score.value,) for name, score in repeats[0].items()}
    return {name: tuple(scores[name].value for scores in repeats) for name in (repeats[0] if repeats else ())}


def passed(spec: Spec, scores: Scores) -> bool:
    """Does one answer pass every check that scores an output? What a ``must`` case has to do."""
    return all(
        scores[check.name].passed if not check.clause("at_most") else not scores[check.name].passed
        for check in spec.checks
        if check.score not in ("latency", "cost")
    )
