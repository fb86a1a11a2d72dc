"""Scores of finished traces: by the contract's own scorers, within the month's budget, kept in the records."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence

import msgspec

from shiftright.core.answer import Answer, Failure
from shiftright.core.case import Case
from shiftright.core.score import Score
from shiftright.core.spec import Check
from shiftright.core.trace import SpanRow
from shiftright.decisions.live import FALLBACK
from shiftright.errors import CapReached, Error
from shiftright.models.budget import Budget
from shiftright.monitor.checks import LiveScoring
from shiftright.monitor.sampling import DEFAULT_MONTH_USD
from shiftright.store import Records
from shiftright.store.rows import ReviewKind, ScoreRow
from shiftright.store.spend import Spent, month_of
from shiftright.store.telemetry import TelemetryStore
from shiftright.tracing import attributes as names
from shiftright.tracing.exchange import Exchange, exchange

_log = logging.getLogger("shiftright.monitor")

JUDGED_AT_ONCE = 4
MOST_LOW_SCORES = 25
"""Reviews of low scores open at a time and feature: an inbox that nobody can empty is not read."""


class Finished(msgspec.Struct, frozen=True):
    """A trace to score. ``spans`` are those at hand, none where it is to be read. ``sampled``: it was drawn, so its
    scores may enter a mean; a ``complaint`` is scored without being drawn. Of a trace in a ``rollout`` every score that
    costs nothing is wanted; a ``shadow`` copy is no traffic of the feature's."""

    feature: str
    trace_id: str
    spans: tuple[SpanRow, ...] = ()
    sampled: bool = False
    complaint: bool = False
    rollout: bool = False
    shadow: bool = False

    @property
    def author(self) -> str:
        """Why it was looked at where that was not by lot: such scores enter no mean of live traffic."""
        if self.complaint:
            return "complaint"
        return "shadow" if self.shadow else "" if self.sampled else "rollout"


class Scorekeeper:
    """Scores batches of traces. ``paused`` says, by feature, why its traces are not judged at present; ``failing``, by
    feature and check, why this check scores nothing: a model that is unknown, a key that is missing."""

    def __init__(self, records: Records, telemetry: TelemetryStore) -> None:
        self._records, self._telemetry = records, telemetry
        self.paused: dict[str, str] = {}
        self.failing: dict[tuple[str, str], str] = {}

    def recovered(self, feature: str) -> None:
        """Its checks are others now: what failed of them is no longer true."""
        self.failing = {key: why for key, why in self.failing.items() if key[0] != feature}

    async def score(self, batch: Sequence[tuple[Finished, LiveScoring]]) -> None:
        """Scores, and keeps them in one transaction.

        Raises:
            StoreError: when they cannot be kept.
        """
        budgets = self._budgets({scoring.spec.feature: scoring for _, scoring in batch})
        together = asyncio.Semaphore(JUDGED_AT_ONCE)
        found = await asyncio.gather(
            *(self._trace(trace, scoring, budgets[trace.feature], together) for trace, scoring in batch)
        )
        rows = [row for each in found for row in each]
        self._records.scores.add(rows)
        spent = {
            f"judge:{name}": Spent(budget.spent_usd, budget.calls)
            for name, budget in budgets.items()
            if budget.calls
        }
        self._records.spend.add(month_of(time.time()), spent)

    def _budgets(self, scorings: dict[str, LiveScoring]) -> dict[str, Budget]:
        """What is left of the month for each feature."""
        month = month_of(time.time())
        spent = self._records.spend.month(month)
        budgets = {}
        for name, scoring in scorings.items():
            limit = float(scoring.spec.live.get("month_at_most", DEFAULT_MONTH_USD))
            used = spent.get(f"judge:{name}", Spent()).cost_usd
            budgets[name] = Budget(max_cost_usd=max(limit - used, 0.0))
            self.paused.pop(name, None)
        return budgets

    async def _trace(
        self, trace: Finished, scoring: LiveScoring, budget: Budget, together: asyncio.Semaphore
    ) -> list[ScoreRow]:
        spans = trace.spans
        told = exchange(spans)
        if told is None or (told.output is None and told.error is None):
            # what came in this batch does not tell it; earlier ones may
            told = exchange(await asyncio.to_thread(self._telemetry.trace, trace.trace_id))
        if told is None:
            return []
        at = max((span.end_ns for span in spans), default=0) / 1e9 or time.time()
        case, answer = _case(told), _answer(told, spans)
        rows = []
        if not trace.complaint:
            scores = await self._scores(trace.feature, scoring, scoring.cheap, None, case, answer)
            # these are of every trace, so a mean may have all but the copies
            author = trace.author if trace.shadow else ""
            rows += [_row(told, trace, score, at, author) for score in scores.values()]
            rows += [_row(told, trace, score, at, author) for score in _helped(scoring, spans)]
        drawn = trace.sampled or trace.complaint
        checks = scoring.asking if drawn else scoring.free if trace.rollout else ()
        if checks:
            async with together:
                rows += await self._asked(told, trace, scoring, checks, budget, case, answer, at)
        return rows

    async def _asked(
        self,
        told: Exchange,
        trace: Finished,
        scoring: LiveScoring,
        checks: tuple[Check, ...],
        budget: Budget,
        case: Case,
        answer: Answer,
        at: float,
    ) -> list[ScoreRow]:
        scores = await self._scores(trace.feature, scoring, checks, budget, case, answer)
        for check in checks:
            if check.name in scores:
                self._review(check, scores[check.name], told, trace)
        return [_row(told, trace, score, at, trace.author) for score in scores.values()]

    async def _scores(
        self,
        feature: str,
        scoring: LiveScoring,
        checks: Sequence[Check],
        budget: Budget | None,
        case: Case,
        answer: Answer,
    ) -> dict[str, Score]:
        """One check after the other: what stops one leaves out its own scores, and no others."""
        found: dict[str, Score] = {}
        for check in checks:
            key = feature, check.name
            try:
                found |= await scoring.scoring((check,), budget).score(case, answer)
            except CapReached as error:
                limit = scoring.spec.live.get("month_at_most", DEFAULT_MONTH_USD)
                self.paused[feature] = f"the month's {limit:g} USD for judging are spent: {error.message}"
            except Error as error:
                if self.failing.get(key) != error.message:
                    _log.error("%s: checks.%s cannot be scored live: %s", feature, check.name, error)
                self.failing[key] = error.message
            else:
                self.failing.pop(key, None)
        return found

    def _review(self, check: Check, score: Score, told: Exchange, trace: Finished) -> None:
        """A person looks where a judge finds fault, and where it sees none though the user complains."""
        if check.score != "judge" or score.value is None or told.error is not None or trace.shadow:
            return
        low = score.value < 0.5
        if low == trace.complaint:
            return
        kind: ReviewKind = "low_score" if low else "disagreement"
        reviews = self._records.reviews
        if reviews.counts(trace.feature).get((trace.feature, kind, "open"), 0) >= MOST_LOW_SCORES:
            return
        said = {"check": check.name, "value": score.value, "explanation": score.explanation}
        subject = {**told.subject(), "scores": [said]}
        reviews.open(kind, subject, feature=trace.feature, trace_id=trace.trace_id)


def _helped(scoring: LiveScoring, spans: Sequence[SpanRow]) -> Iterator[Score]:
    """Who answered where the feature failed: known of every trace."""
    for check in scoring.spec.live_checks:
        if check.score == FALLBACK:
            rungs = {str(span.attributes[names.RUNG]) for span in spans if names.RUNG in span.attributes}
            wanted = check.params.get("rung")
            helped = bool(rungs) if wanted is None else wanted in rungs
            yield Score(check.name, float(helped), explanation=", ".join(sorted(rungs)) or None)


def _case(told: Exchange) -> Case:
    return Case(told.trace_id, input=told.value)


def _answer(told: Exchange, spans: Sequence[SpanRow]) -> Answer:
    failure = None if told.error is None else Failure("feature", told.error)
    if told.output is None and any(names.RUNG in span.attributes for span in spans):
        failure = failure or Failure("feature", "a person was asked instead")
    output = None if failure else told.output
    return Answer(output, failure, cost_usd=told.cost_usd, latency_s=told.latency_s)


def _row(told: Exchange, trace: Finished, score: Score, at: float, author: str) -> ScoreRow:
    return ScoreRow(
        trace_id=trace.trace_id,
        feature=trace.feature,
        variant=told.variant,
        score=score,
        # a sender's clock may be ahead: a score of tomorrow would be in no window of today
        created_at=min(at, time.time()),
        author=author,
    )
