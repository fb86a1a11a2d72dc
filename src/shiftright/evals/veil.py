"""Of a sealed case only numbers leave the run: what it asked, what was answered and why that failed are not written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from shiftright.core.answer import Answer, Failure
from shiftright.core.case import Case
from shiftright.core.score import Score
from shiftright.errors import CapReached, CredentialsError, Error, MissingDependency, StoreError

NOT_SHOWN = "the case is sealed: what was said is not shown"
# Ours, of the run and not of a case.
_OF_THE_RUN = (CapReached, CredentialsError, MissingDependency, StoreError)


def answer_of(case: Case, answer: Answer) -> Answer:
    """The answer as it may be told: with its output, which scorers need and nobody keeps, and no words of a failure."""
    if not case.sealed or answer.failure is None:
        return answer
    return msgspec.structs.replace(answer, failure=Failure(answer.failure.kind, NOT_SHOWN))


def scores_of(case: Case, scores: Mapping[str, Score]) -> dict[str, Score]:
    """The scores without words."""
    if not case.sealed:
        return dict(scores)
    return {
        name: Score(
            score.name,
            score.value,
            label="failed" if score.label == "failed" else None,
            source=score.source,
            failure=None if score.failure is None else NOT_SHOWN,
            cost_usd=score.cost_usd,
        )
        for name, score in scores.items()
    }


@contextmanager
def errors_of(case: Case) -> Iterator[None]:
    """An error that stops the run on a sealed case keeps its kind and loses its words."""
    try:
        yield
    except Error as error:
        if not case.sealed or isinstance(error, _OF_THE_RUN):
            raise
        raise type(error)(
            f"stopped on {case.id}: {NOT_SHOWN}", hint="Run the feature on cases that are not sealed."
        ) from None
