"""Calls of the feature for a run: stored answers are reused, each new one is written down, limits are kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

import msgspec

from shiftright import features
from shiftright.core.answer import Answer, Failure
from shiftright.core.case import Case
from shiftright.core.counting import counted
from shiftright.core.spec import Spec
from shiftright.errors import CapReached, ProviderError
from shiftright.evals import veil
from shiftright.evals.target import Side
from shiftright.evals.writer import Writer
from shiftright.models.budget import Budget
from shiftright.models.cache import ModelCache
from shiftright.store.ids import answer_id
from shiftright.store.rows import StoredAnswer

PROVIDER_FAILURES_IN_A_ROW = 20

Known = Mapping[tuple[str, int], StoredAnswer]


class Tally(msgspec.Struct):
    """Executions of the feature so far, and their cost (None once a price was unknown)."""

    made: int = 0
    baseline_made: int = 0
    cached: int = 0
    model_calls: int = 0
    failed: int = 0
    cost_usd: float | None = 0.0

    def pay(self, cost_usd: float | None) -> None:
        """Add what a call or a judgement cost; None, once, makes the sum unknown."""
        if self.cost_usd is not None:
            self.cost_usd = None if cost_usd is None else self.cost_usd + cost_usd


class Caller:
    """One side's calls.

    ``known`` are stored answers by (input digest, repeat): they cost nothing. ``max_calls`` limits executions of the
    feature on both sides together (``tally`` is shared). ``record``: answers are kept with their spans.
    """

    def __init__(
        self,
        side: Side,
        spec: Spec,
        *,
        run_id: str,
        writer: Writer,
        tally: Tally,
        known: Known,
        cache: ModelCache | None,
        budget: Budget | None,
        max_calls: int | None,
        is_baseline: bool = False,
        record: bool = True,
    ) -> None:
        self._side, self._writer, self._tally, self._known = side, writer, tally, known
        self._feature_name, self._run_id = spec.feature, run_id
        self._cache, self._budget, self._max_calls = cache, budget, max_calls
        self._is_baseline, self._record = is_baseline, record
        self._provider_failures = 0
        self._each_s = _each(spec, "latency")
        self._each_usd = _each(spec, "cost")

    async def call(self, case: Case, repeat: int) -> StoredAnswer:
        """The answer to one case; from the records where there is one.

        Raises:
            CapReached: the user's limit on calls or money; nothing was called.
            ProviderError: 20 provider failures in a row: the run cannot go on.
        """
        stored = self._known.get((case.input_digest, repeat))
        if stored is not None:
            self._tally.cached += 1
            return stored
        while self._writer.full:  # noqa: ASYNC110 - a thread empties it, which no asyncio.Event hears
            # the disk is slower than the feature: wait rather than fill the memory
            await asyncio.sleep(0.005)
        self._begin()
        answer = self._within_cost(await self._ask(case, repeat))
        self._count(answer)
        row = StoredAnswer(
            id=answer_id(),
            feature=self._feature_name,
            variant_digest=self._side.digest,
            input_digest=case.input_digest,
            repeat=repeat,
            run_id=self._run_id,
            case_id=case.id,
            answer=answer,
            created_at=time.time(),
        )
        if not case.sealed:
            self._writer.add(answers=(row,))
        return row

    async def _ask(self, case: Case, repeat: int) -> Answer:
        asked = features.call(
            self._side.feature,
            case.value,
            case_id=case.id,
            repeat=repeat,
            cache=None if case.sealed else self._cache,
            budget=self._budget,
            timeout_s=self._each_s,
            record=self._record and not case.sealed,
        )
        if not case.sealed:
            return await asked
        with veil.errors_of(case):
            return veil.answer_of(case, await asked)

    def knows(self, case: Case, repeats: Iterable[int]) -> bool:
        """Are all these answers in the records?"""
        return all((case.input_digest, repeat) in self._known for repeat in repeats)

    def _begin(self) -> None:
        tally = self._tally
        if self._max_calls is not None and tally.made + tally.baseline_made >= self._max_calls:
            raise CapReached(
                f"the cap of {counted(self._max_calls, 'call')} is reached",
                hint="Nothing is lost: run again with a higher --max-calls to go on from here.",
            )
        if self._is_baseline:
            tally.baseline_made += 1
        else:
            tally.made += 1

    def _within_cost(self, answer: Answer) -> Answer:
        """A request above ``each_at_most`` would have been stopped: it counts as failed, and its cost is kept."""
        if self._each_usd is None or answer.cost_usd is None or answer.cost_usd <= self._each_usd:
            return answer
        message = f"cost {answer.cost_usd:.6f} USD, above each_at_most {self._each_usd:.6f} USD"
        return msgspec.structs.replace(answer, output=None, failure=Failure("cost", message))

    def _count(self, answer: Answer) -> None:
        tally = self._tally
        tally.model_calls += answer.model_calls
        tally.pay(answer.spent_usd)
        failure = answer.failure
        if failure is None:
            self._provider_failures = 0
            return
        tally.failed += 1
        self._provider_failures = self._provider_failures + 1 if failure.kind == "provider" else 0
        if self._provider_failures >= PROVIDER_FAILURES_IN_A_ROW:
            raise ProviderError(
                f"{PROVIDER_FAILURES_IN_A_ROW} provider failures in a row, the last: {failure.message}",
                hint="What was answered is kept. Run the same command again when the provider is well.",
            )


def _each(spec: Spec, score: str) -> float | None:
    bounds = [c.clause("each_at_most") for c in spec.checks if c.score == score]
    return min((clause.bound for clause in bounds if clause is not None), default=None)
