"""What went wrong in a run, counted and said: a verdict on failures must not look like one on answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shiftright.core.counting import counted
from shiftright.errors import Error, FeatureError, ProviderError, ScorerError
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

    What a provider, a scorer or a broken environment does is no evidence about a variant. So a case whose failure may
    be one of these (see ``trouble``) waits until a later case has none; then both count, in order. A run that ends, or
    goes on for 20 cases, without that cannot be decided.

    ``begun``: cases of this decision have counted before, in an earlier run.
    """

    def __init__(self, *, begun: bool = False) -> None:
        self._waiting: list[CaseRun] = []
        self._sound = begun

    def release(self, runs: Sequence[CaseRun]) -> list[CaseRun]:
        """The cases that count now: up to the last sound one.

        Raises:
            ProviderError, FeatureError, ScorerError: after 20 cases in a row that wait.
        """
        self._waiting += runs
        last = next((i for i in range(len(self._waiting), 0, -1) if not trouble(self._waiting[i - 1])), 0)
        released, self._waiting = self._waiting[:last], self._waiting[last:]
        self._sound = self._sound or bool(released)
        if len(self._waiting) >= MOST_HELD:
            raise self._error()
        return released

    def rest(self) -> list[CaseRun]:
        """At the end of the cases: a short tail of failures counts as data, a long one, or nothing else, does not.

        Raises:
            ProviderError, FeatureError, ScorerError: then.
        """
        waiting, self._waiting = self._waiting, []
        if waiting and (not self._sound or len(waiting) > SHORT_TAIL):
            self._waiting = waiting
            raise self._error()
        return waiting

    def _error(self) -> Error:
        found = trouble(self._waiting[-1])
        assert found is not None
        return found.error(f"on {counted(len(self._waiting), 'case')} in a row")


class Trouble(NamedTuple):
    """Why a case may be no evidence: what failed, and its message."""

    kind: type[Error]
    who: str
    message: str

    def error(self, where: str) -> Error:
        return self.kind(f"{self.who} failed {where}, the last: {self.message}", hint=AGAIN)


def trouble(run: CaseRun) -> Trouble | None:
    """What failed in a case without saying anything about the candidate; None where nothing did.

    A provider, on either side. The baseline, whatever came over it: it has answered before, or is to. A scorer that
    measured neither side; where it could measure one, the other's output is what it stumbled over.
    """
    for row in (*run.candidate, *run.baseline):
        failure = row.answer.failure
        if failure is not None and failure.kind == "provider":
            return Trouble(ProviderError, "the provider", failure.message)
    for rows in (run.baseline, run.asked_again if run.witnessed else ()):
        failed = [row.answer.failure for row in rows if row.answer.failure is not None]
        if failed and len(failed) == len(rows):
            return Trouble(FeatureError, "the baseline", failed[-1].message)
    return _unmeasured(run)


def _unmeasured(run: CaseRun) -> Trouble | None:
    both = (*run.candidate_scores, *run.baseline_scores)
    for name in both[0] if both else ():
        failures = [scores[name].failure for scores in both if scores[name].label != "failed"]
        if failures and all(failures):
            return Trouble(ScorerError, f"the scorer of {name}", str(failures[-1]))
    return None


def unanswered(runs: Sequence[CaseRun]) -> Error:
    """``must`` cases that have neither passed nor failed, for the trouble there was."""
    names = ", ".join(run.case.id for run in runs[:3]) + (", …" if len(runs) > 3 else "")
    found = trouble(runs[-1])
    assert found is not None
    return found.error(f"on {counted(len(runs), 'must case')} ({names})")
