"""What went wrong in a run, counted and said: a verdict on failures must not look like one on answers."""

from __future__ import annotations

from collections.abc import Sequence

from shiftright.core.counting import counted
from shiftright.errors import Error, FeatureError, ProviderError
from shiftright.evals.scoring import Scores
from shiftright.evals.work import CaseRun
from shiftright.store.rows import StoredAnswer

# Cases in a row that may be held back before the run gives up, and the longest tail that still counts as data.
MOST_HELD = 20
SHORT_TAIL = 2
AGAIN = "Nothing of this was counted. Mend it and run the same command again."


class Troubles:
    """Failures of both sides and of the scorers, with the first message of each."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._first: dict[str, str] = {}

    def add(self, run: CaseRun) -> None:
        self._calls("the candidate", run.candidate)
        self._calls("the baseline", run.baseline)
        self._calls("the baseline, asked again to check what is remembered of it,", run.asked_again)
        for scores in (*run.candidate_scores, *run.baseline_scores):
            self._measurements(scores)

    def sentences(self) -> tuple[str, ...]:
        """One for everything that failed at all."""
        return tuple(
            f"{who} failed on {failed:,} of {counted(total, 'call')}: {self._first[who]}"
            for who, (failed, total) in self._counts.items()
            if failed
        )

    def _calls(self, who: str, answers: Sequence[StoredAnswer]) -> None:
        for row in answers:
            failure = row.answer.failure
            self._count(who, None if failure is None else f"{failure.kind}: {failure.message}")

    def _measurements(self, scores: Scores) -> None:
        for name, score in scores.items():
            if score.label != "failed":
                self._count(f"the scorer of {name}", score.failure)

    def _count(self, who: str, message: str | None) -> None:
        counts = self._counts.setdefault(who, [0, 0])
        counts[1] += 1
        if message is not None:
            counts[0] += 1
            self._first.setdefault(who, message if len(message) <= 200 else message[:200] + " …")


class Held:
    """Cases that wait before they count as evidence.

    An outage is no evidence against a variant, and a baseline that has never answered is none for it. So a case with a
    provider failure waits until a later case has none, and every case waits until the baseline has answered once. Then
    they count, in order. A run that ends, or goes on for 20 cases, without that cannot be decided.

    ``begun``: cases of this decision have counted before, in an earlier run.
    """

    def __init__(self, *, begun: bool = False) -> None:
        self._waiting: list[CaseRun] = []
        self._answered = self._sound = begun

    def release(self, runs: Sequence[CaseRun]) -> list[CaseRun]:
        """The cases that count now: up to the last sound one.

        Raises:
            ProviderError, FeatureError: after 20 cases in a row that wait.
        """
        last = 0
        self._waiting += runs
        for index, run in enumerate(self._waiting, 1):
            self._answered = self._answered or not run.baseline or any(_ok(row) for row in run.baseline)
            if self._answered and not outage(run):
                last = index
        released, self._waiting = self._waiting[:last], self._waiting[last:]
        self._sound = self._sound or bool(released)
        if len(self._waiting) >= MOST_HELD:
            raise self._error()
        return released

    def rest(self) -> list[CaseRun]:
        """At the end of the cases: a short tail of failures counts as data, a long one, or nothing else, does not.

        Raises:
            ProviderError, FeatureError: then.
        """
        waiting, self._waiting = self._waiting, []
        if waiting and (not self._sound or len(waiting) > SHORT_TAIL):
            self._waiting = waiting
            raise self._error()
        return waiting

    def _error(self) -> Error:
        count, message = len(self._waiting), _last_failure(self._waiting)
        if not self._answered:
            return FeatureError(f"the baseline failed on all {count} cases, the last: {message}", hint=AGAIN)
        return ProviderError(f"{count} provider failures in a row, the last: {message}", hint=AGAIN)


def outage(run: CaseRun) -> bool:
    """Did the provider fail, on either side?"""
    rows = (*run.candidate, *run.baseline)
    return any(row.answer.failure is not None and row.answer.failure.kind == "provider" for row in rows)


def unanswered(runs: Sequence[CaseRun]) -> ProviderError:
    """``must`` cases on which the provider failed have neither passed nor failed."""
    names = ", ".join(run.case.id for run in runs[:3]) + (", …" if len(runs) > 3 else "")
    said = f"the provider failed on {counted(len(runs), 'must case')} ({names})"
    return ProviderError(f"{said}, the last: {_last_failure(runs)}", hint=AGAIN)


def _last_failure(runs: Sequence[CaseRun]) -> str:
    rows = [row for run in runs for row in (*run.baseline, *run.candidate)]
    return next(row.answer.failure.message for row in reversed(rows) if row.answer.failure is not None)


def _ok(row: StoredAnswer) -> bool:
    return row.answer.failure is None
