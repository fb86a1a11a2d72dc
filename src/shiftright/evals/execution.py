"""The machinery of one run: its row, its writer, both sides' callers, the limits. A context manager."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

import msgspec

from shiftright.core.verdict import Calls, Verdict
from shiftright.decisions.ledger import Decision
from shiftright.decisions.lock import Lock
from shiftright.decisions.order import Step
from shiftright.evals.calling import Caller, Tally
from shiftright.evals.options import Options
from shiftright.evals.recheck import Recheck
from shiftright.evals.scoring import Scoring
from shiftright.evals.target import Side, Target
from shiftright.evals.work import CaseRun, Work
from shiftright.evals.writer import Writer
from shiftright.models.budget import Budget
from shiftright.models.cache import ModelCache
from shiftright.models.scope import CallScope, use
from shiftright.scorers.judge import Judge
from shiftright.store import Records
from shiftright.store.rows import RunRow, RunStatus

DEFAULT_CONCURRENCY = 8
# Repeats from here on check the baseline's remembered scores.
FIRST_RECHECK = 100


class Execution:
    """Leaving it writes what is left and how the run ended: ``done``, ``stopped`` (interrupted) or ``error``.

    Without a ``decision`` (a look at some cases, a planning sample) nothing is decided. ``marks`` are kept with the
    run's options. The inputs of a ``live`` run are users' own: no message and no model call of it is kept.
    """

    def __init__(
        self,
        target: Target,
        records: Records,
        options: Options,
        lock: Lock,
        *,
        decision: Decision | None = None,
        marks: dict[str, Any] | None = None,
        first_repeat: int = 0,
        live: bool = False,
    ) -> None:
        self._target, self._records, self._options = target, records, options
        self._live = live
        self._decision, self._lock, self._marks = decision, lock, marks or {}
        self._first_repeat = decision.frozen.first_repeat if decision else first_repeat
        self._repeats = decision.frozen.repeats if decision else options.repeats
        self.tally = Tally()
        self.run_id = records.runs.new_id()
        earlier = records.runs.list(target.spec.feature, limit=10_000) if decision else ()
        self._earlier_runs = len(earlier)
        self._its_runs = {
            self.run_id,
            *(run.id for run in earlier if decision and run.decision_id == decision.row.id),
        }
        self.concurrency = options.concurrency or _concurrency(target)
        self._budget = Budget(max_cost_usd=options.max_cost_usd) if options.max_cost_usd is not None else None
        self._verdict: Verdict | None = None
        self._finished = False

    def __enter__(self) -> Execution:
        target, decision = self._target, self._decision
        self._records.runs.start(
            RunRow(
                id=self.run_id,
                feature=target.spec.feature,
                variant=target.candidate.name,
                variant_digest=target.candidate.digest,
                dataset_digest=target.gate.digest,
                started_at=time.time(),
                baseline=target.baseline.name if target.baseline else None,
                baseline_digest=target.baseline.digest if target.baseline else None,
                decision_id=decision.row.id if decision else None,
                options={**_plain(self._options), **self._marks},
                seed=decision.row.seed if decision else 0,
            )
        )
        self.writer = Writer(self._records)
        return self

    def done(self, verdict: Verdict | None) -> None:
        self._verdict, self._finished = verdict, True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.writer.close()
        finally:
            self._finish("done" if self._finished else "error" if isinstance(error, Exception) else "stopped")

    @property
    def calls(self) -> Calls:
        """Executions so far, without yardsticks."""
        return Calls(self.tally.made, self.tally.baseline_made, self.tally.cached)

    def work(self, *, baseline: bool = True) -> Callable[[Step], Awaitable[CaseRun]]:
        """How a case is run; without ``baseline`` only the candidate's side."""
        target, decision = self._target, self._decision
        other = target.baseline if baseline else None
        scoring = self._scoring()
        caller = self._caller(other, is_baseline=True) if other else None
        # a pairwise judge has to see the baseline's answers: remembered scores cannot stand in for them
        pairwise = any(
            isinstance(scorer, Judge) and scorer.rubric.pairwise for scorer in target.scorers.values()
        )
        work = Work(
            scoring,
            self._caller(target.candidate),
            caller,
            repeats=self._repeats,
            first_repeat=self._first_repeat,
            baseline_repeats=decision.frozen.baseline_repeats if decision else 1,
            first_baseline_repeat=other.first_repeat if other else 0,
            locked=self._lock.baseline_scores(target.spec.feature, target.baseline_identity)
            if other and not pairwise
            else None,
        )
        if decision is None or caller is None or other is None or other.feature.recorded:
            return work
        repeat = other.first_repeat + FIRST_RECHECK + self._earlier_runs
        return Recheck(
            work,
            caller,
            scoring,
            target.spec,
            its_runs=self._its_runs,
            seed=decision.row.seed,
            repeat=repeat,
        )

    def _scoring(self) -> Scoring:
        target = self._target
        return Scoring(
            target.spec,
            target.scorers,
            cache=self._cache,
            budget=self._budget,
            paid=self.tally.pay,
        )

    async def judges(self) -> tuple[str, ...]:
        """What stands behind each judge: human labels, and how far it agrees with them (labelled outputs are judged,
        and remembered like any call)."""
        said = []
        with use(CallScope(cache=self._records.model_cache, budget=self._budget)):
            for name, scorer in self._target.scorers.items():
                if isinstance(scorer, Judge):
                    summary = await scorer.labels_summary(self._target.gate.cases)
                    self.tally.pay(summary.cost_usd)
                    said.append(f"{name}: {summary}")
        return tuple(said)

    def _caller(self, side: Side, *, is_baseline: bool = False) -> Caller:
        return Caller(
            side,
            self._target.spec,
            run_id=self.run_id,
            writer=self.writer,
            tally=self.tally,
            known=self._records.answers.get(side.digest),
            cache=self._cache,
            budget=self._budget,
            max_calls=self._options.max_calls,
            is_baseline=is_baseline,
            record=not self._live,
        )

    @property
    def _cache(self) -> ModelCache | None:
        return None if self._live else self._records.model_cache

    def _finish(self, status: RunStatus) -> None:
        self._records.runs.finish(
            self.run_id,
            status=status,
            ended_at=time.time(),
            verdict=self._verdict,
            made=self.tally.made,
            baseline_made=self.tally.baseline_made,
            cached=self.tally.cached,
            cost_usd=self.tally.cost_usd,
        )


def _concurrency(target: Target) -> int:
    """An embedded model answers one at a time: more in flight would only be begun in vain when the decision falls."""
    models = [side.feature.variant.get("model") for side in (target.candidate, target.baseline) if side]
    return 1 if any(str(model).startswith("local:") for model in models) else DEFAULT_CONCURRENCY


def _plain(options: Options) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(options)
    return plain
