"""Each case of a run as a report shows it: both sides' answers and scores, and what changed between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from shiftright.core.answer import Answer
from shiftright.core.case import Case
from shiftright.core.score import Score
from shiftright.core.spec import Check, Spec
from shiftright.store.rows import RunCase, StoredAnswer

Change = Literal["broke", "fixed", "fails", "passes"]
Values = tuple[float | None, ...]
# Scores of the call itself; whether an output is right does not depend on them.
MEASURED = ("latency", "cost")


class CheckView(msgspec.Struct, frozen=True):
    """One check on one case: mean over repeats per side (None: not measured), and whether that passes.

    ``explanation`` is the scorer's reason for the candidate, ``failure`` why it could not be measured.
    """

    name: str
    candidate: float | None
    baseline: float | None
    passes: bool
    passed: bool | None
    explanation: str | None = None
    failure: str | None = None


class CaseView(msgspec.Struct, frozen=True):
    """``known`` says whether the case's input and expectation still stand in its file as they were judged.

    ``change`` is from the baseline to the candidate over all checks of the output: ``broke`` (passed, now fails one),
    ``fixed``, ``fails`` (also before, or nothing to compare with), ``passes``. ``checks`` are of the output only.
    """

    id: str
    split: str
    position: int
    known: bool
    value: Any
    expected: Any
    tags: tuple[str, ...]
    group: str | None
    candidate: tuple[Answer, ...]
    baseline: tuple[Answer, ...]
    checks: tuple[CheckView, ...]
    change: Change

    @property
    def worst(self) -> list[str]:
        """Checks the candidate fails."""
        return [check.name for check in self.checks if not check.passes]


def views(
    rows: Sequence[RunCase],
    known: Mapping[str, Mapping[str, Case]],
    answers: Mapping[str, StoredAnswer],
    baseline: Mapping[str, Mapping[str, Values]],
    spec: Spec | None,
) -> Iterator[CaseView]:
    """``baseline`` are scores known without answers."""
    checks = {check.name: check for check in spec.checks} if spec else {}
    lookup = {id_: case for split in known.values() for id_, case in split.items()}
    for row in rows:
        case = known.get(row.split, lookup).get(row.case_id)
        if case is not None and case.digest != row.case_digest:
            case = None
        found = tuple(_checks(row, checks, baseline.get(row.case_id, {})))
        yield CaseView(
            id=row.case_id,
            split=row.split,
            position=row.position,
            known=case is not None,
            value=case.value if case else None,
            expected=case.expected if case else None,
            tags=case.tags if case else (),
            group=case.group if case else None,
            candidate=tuple(answers[id_].answer for id_ in row.candidate if id_ in answers),
            baseline=tuple(answers[id_].answer for id_ in row.baseline if id_ in answers),
            checks=found,
            change=_change(found),
        )


def _checks(row: RunCase, checks: Mapping[str, Check], known: Mapping[str, Values]) -> Iterator[CheckView]:
    for name, scores in row.candidate_scores.items():
        check = checks.get(name)
        if check is not None and check.score in MEASURED:
            continue
        before = tuple(score.value for score in row.baseline_scores.get(name, ())) or known.get(name, ())
        lower_is_better = check is not None and check.clause("at_most") is not None
        failed = next((score for score in scores if not _passes((score.value,), lower_is_better)), None)
        told: Score | None = failed or (scores[0] if scores else None)
        yield CheckView(
            name=name,
            candidate=_mean(tuple(score.value for score in scores)),
            baseline=_mean(before),
            passes=_passes(tuple(score.value for score in scores), lower_is_better),
            passed=_passes(before, lower_is_better) if before else None,
            explanation=told.explanation if told else None,
            failure=told.failure if told else None,
        )


def _change(checks: Sequence[CheckView]) -> Change:
    if any(check.passed and not check.passes for check in checks):
        return "broke"
    if any(not check.passes for check in checks):
        return "fails"
    return "fixed" if any(check.passed is False for check in checks) else "passes"


def _mean(values: Values) -> float | None:
    if not values or any(value is None for value in values):
        return None
    return sum(value for value in values if value is not None) / len(values)


def _passes(values: Values, lower_is_better: bool) -> bool:
    mean = _mean(values)
    if mean is None:
        return False
    return mean < 0.5 if lower_is_better else mean >= 0.5
