"""``shiftright eval``: spec, ledger, cases in recorded order, features.call, scorers, decisions, EvalRun."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from shiftright.core.verdict import Calls, Verdict
from shiftright.decisions.contract import ContractTest, Estimand, Frozen
from shiftright.decisions.ledger import Decision, open_decision
from shiftright.decisions.order import arrange, unit_sizes
from shiftright.decisions.units import CaseScores
from shiftright.errors import BaselineStale, CapReached, DatasetChanged, StoreError
from shiftright.evals import accounting, notes
from shiftright.evals.execution import Execution
from shiftright.evals.freeze import freeze
from shiftright.evals.history import History
from shiftright.evals.options import EvalRun, Options, Progress, Quiet, Standing
from shiftright.evals.planning import known_reruns
from shiftright.evals.pool import OrderedPool
from shiftright.evals.target import Target, resolve
from shiftright.evals.troubles import Held, Troubles, trouble, unanswered
from shiftright.evals.work import CaseRun
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.store.rows import ConsumedRow


async def evaluate(
    feature: str,
    settings: Settings,
    records: Records,
    options: Options | None = None,
    progress: Progress | None = None,
) -> EvalRun:
    """Decide whether a variant may merge and be released.

    A decision made before is returned as it stands, at no cost. An interrupted one goes on where it stopped.

    Raises:
        Error: what keeps the run from going on (usage, spec, credentials, store, changed cases, a provider that is
            down); all of it can be resumed by the same command.
    """
    options = options or Options()
    loaded = resolve(
        feature,
        settings.root,
        settings.home,
        variant=options.variant,
        baseline=options.baseline,
        base=options.base,
        releases=records.releases,
    )
    history, progress = History(settings.root, records), progress or Quiet()
    target = history.current(loaded)
    decision = _open(target, history, records, options, another=options.new_decision)
    gate = GateRun(target, decision, history, records, options, progress)
    if gate.known:
        return gate.stored()
    history.begin(decision)
    decision_id = decision.row.id
    del gate, decision  # tens of thousands of cases each: not two of them at a time
    async with history.lease(decision_id):
        # another eval may have gone on with it, or ended it, while this one waited for the lease
        decision = _open(target, history, records, options)
        gate = GateRun(target, decision, history, records, options, progress)
        if gate.known:
            return gate.stored()
        try:
            return await gate.run()
        except BaselineStale:
            assert target.baseline is not None
            fresh = target.at(target.baseline.generation + 1)
            history.begin_anew(_open(fresh, history, records, options))
            raise


def _open(
    target: Target, history: History, records: Records, options: Options, *, another: bool = False
) -> Decision:
    estimand: Estimand = "suite" if options.suite_mode else "population"
    subject = target.subject(estimand)
    book = history.book(target.spec.feature)

    def begin(attempt: int, seed: int) -> Frozen:
        return freeze(
            target.spec,
            target.gate.cases,
            attempt=attempt,
            seed=seed,
            estimand=estimand,
            reruns=known_reruns(target, records),
            baseline_repeats=accounting.baseline_repeats(target, book, records),
            repeats=options.repeats,
            first_repeat=accounting.first_unused_repeat(book.of(subject.stem), attempt),
        )

    return open_decision(
        subject,
        target.candidate.name,
        target.baseline.name if target.baseline else None,
        target.gate.cases,
        book,
        new_id=records.ledger.new_id,
        freeze=begin,
        another=another,
    )


class GateRun:
    """One eval of one decision: the ``must`` cases, then the gate in recorded order until the contract is decided."""

    def __init__(
        self,
        target: Target,
        decision: Decision,
        history: History,
        records: Records,
        options: Options,
        progress: Progress,
    ) -> None:
        self.target, self.decision, self.history, self.records = target, decision, history, records
        self.options, self.progress = options, progress
        self.must_digest = target.must.digest if target.must else None
        self.frozen = self._with_added_cases()
        self.consumed: list[ConsumedRow] = list(decision.consumed)
        self._steps = (*decision.order.done, *decision.order.rest)
        self.contract = self._replayed(self.consumed)
        self.started = time.monotonic()
        self._judges: tuple[str, ...] = ()
        self._held, self._troubles = Held(begun=bool(decision.consumed)), Troubles()
        self._group: list[CaseRun] = []

    @property
    def known(self) -> bool:
        """Is the answer there, on these very ``must`` cases: decided, or all cases used?"""
        if self.frozen.must != self.must_digest or not self.consumed:
            return False
        return self.decision.verdict is not None or not self.decision.order.rest

    def stored(self) -> EvalRun:
        """The verdict as it was decided, or as it stands after every case there is."""
        verdict = self._sticky(self.decision.verdict or self.contract.verdict())
        self._require_evidence()
        self._judges = notes.labels(self.target)
        self.history.keep(self.target, self.decision, self.frozen)
        run = accounting.last_run(self.records, self.decision.row)
        return self._eval_run(verdict, Calls(), 0.0, run_id=run or self.decision.row.id, stored=True)

    @property
    def _notes(self) -> tuple[str, ...]:
        return notes.of(self.target, self.decision, repeats=self.options.repeats)

    async def run(self) -> EvalRun:
        execution = Execution(
            self.target, self.records, self.options, self.history.lock, decision=self.decision
        )
        self.progress.begin(
            self.target.spec.feature,
            self.target.candidate.name,
            self.target.baseline.name if self.target.baseline else None,
            self._notes,
        )
        self._execution = execution
        with execution:
            note = None
            try:
                await self._must()
                if self.decision.verdict is None and not self.contract.settled:
                    await self._gate()
                self._judges = await execution.judges()
            except CapReached as cap:
                note = f"{cap.message}; {cap.hint}" if cap.hint else cap.message
            finally:
                self.progress.end()
            self._refuse_changed_cases()
            verdict = self._verdict(note)
            execution.done(verdict)
        self._remember(verdict, capped=note is not None)
        return self._eval_run(verdict, self._calls(), execution.tally.cost_usd, run_id=execution.run_id)

    async def _must(self) -> None:
        """Every ``must`` case, first: one that fails settles both answers before anything else is paid for.

        Raises:
            ProviderError, ScorerError: when none has failed but the provider or a scorer has, on some: the answer is
                not known.
        """
        if self.target.must is None:
            return
        steps = arrange(self.target.must.cases, seed=self.decision.row.seed).rest
        work, out = self._execution.work(baseline=False), []

        def use(runs: Sequence[CaseRun]) -> bool:
            for run in runs:
                self._troubles.add(run)
                if trouble(run):
                    out.append(run)
                    continue
                position = self.contract.must_cases
                self.contract.add_must(run.case.id, run.passed(self.target.spec))
                self._execution.writer.add(cases=(run.run_case(self._execution.run_id, "must", position),))
            self._step()
            return False

        await OrderedPool(work, use, _ignore, concurrency=self._execution.concurrency).run(steps)
        if out and not self.contract.failed_must:
            raise unanswered(out)

    async def _gate(self) -> None:
        pool = OrderedPool(
            self._execution.work(), self._use, _ignore, concurrency=self._execution.concurrency
        )
        if not await pool.run(self.decision.order.rest):
            self._count(self._whole(self._held.rest()))

    def _use(self, runs: Sequence[CaseRun]) -> bool:
        """Cases in order enter the test, as soon as they count."""
        return self._count(self._whole(self._held.release(runs)))

    def _whole(self, runs: Sequence[CaseRun]) -> list[CaseRun]:
        """Groups enter whole or not at all: one that was cut off could not be told from one that was smaller."""
        self._group += runs
        end = next((i for i in range(len(self._group), 0, -1) if self._group[i - 1].closes), 0)
        whole, self._group = self._group[:end], self._group[end:]
        return whole

    def _count(self, runs: Sequence[CaseRun]) -> bool:
        """What lies behind the group that settles the contract is not used."""
        used = 0 if not runs else self._enter([run.evidence() for run in runs])
        self._record(runs[:used])
        self._step()
        return self.contract.settled

    def _enter(self, cases: Sequence[CaseScores]) -> int:
        """Use whole groups until the contract is settled; how many cases were used."""
        last = len(cases) if len(self.consumed) + len(cases) < len(self._steps) else _last_group(cases)
        # to run out of cases is a common end: the last group goes in by itself, so that nothing is replayed for it
        self.contract.add(cases[:last])
        if self.contract.settled:
            return self._settled_after(cases[:last])
        self.contract.add(cases[last:])
        return len(cases)

    def _settled_after(self, cases: Sequence[CaseScores]) -> int:
        """Results come in batches of whatever size; the verdict must not depend on it. So the batch in which the
        contract was settled is used again, group by group, from the state before it."""
        if sum(case.closes for case in cases) <= 1:
            return len(cases)
        self.contract, must = self._replayed(self.consumed), self.contract
        self.contract.must_cases, self.contract.failed_must = must.must_cases, must.failed_must
        for used, case in enumerate(cases, 1):
            self.contract.add([case])
            if case.closes and self.contract.settled:
                return used
        return len(cases)

    def _record(self, runs: Sequence[CaseRun]) -> None:
        start = len(self.consumed)
        rows = [run.consumed(self.decision.row.id, start + index) for index, run in enumerate(runs)]
        self.consumed += rows
        for run in runs:
            self._troubles.add(run)
        self._execution.writer.add(
            cases=[run.run_case(self._execution.run_id, "gate", start + i) for i, run in enumerate(runs)],
            consumed=rows,
        )

    def _replayed(self, consumed: Sequence[ConsumedRow]) -> ContractTest:
        contract = ContractTest(self.target.spec, self.frozen)
        cases = [
            CaseScores(row.case_id, row.candidate, row.baseline, step.unit, step.closes)
            for row, step in zip(consumed, self._steps, strict=False)
        ]
        contract.replay(cases, self.frozen.raises)
        return contract

    def _with_added_cases(self) -> Frozen:
        """Where cases were added since the last call, note it: caps follow from here on, wealth is kept."""
        frozen, decision = self.decision.frozen, self.decision
        units = len(unit_sizes(self.target.gate.cases, grouped=frozen.estimand == "population"))
        known = frozen.raises[-1][1] if frozen.raises else frozen.units
        if units <= known or not decision.resumed:
            return frozen
        return msgspec.structs.replace(frozen, raises=(*frozen.raises, (len(decision.consumed), units)))

    def _verdict(self, note: str | None) -> Verdict:
        verdict = self._sticky(self._as_it_stands(note))
        return msgspec.structs.replace(verdict, reasons=(*verdict.reasons, *self._troubles.sentences()))

    def _sticky(self, verdict: Verdict) -> Verdict:
        """Harm proven before on these cases stays proven: a merge cannot be retried until green."""
        before = self.decision.about.refused
        if before is None or verdict.merge == "no":
            return verdict
        said = notes.refused(before, self.decision)
        return msgspec.structs.replace(verdict, merge="no", reasons=(said, *verdict.reasons))

    def _require_evidence(self) -> None:
        """
        Raises:
            StoreError: when a stored verdict does not follow from the scores stored with it.
        """
        stored = self.decision.verdict
        if stored is None or not self.consumed:
            return
        shown = self.contract.verdict()
        if shown.verdict != stored.verdict or (shown.merge, stored.merge) == ("no", "yes"):
            raise StoreError(
                f"decision {self.decision.row.id} is stored as {stored.verdict}, merge {stored.merge}; "
                f"its own scores say {shown.verdict}, merge {shown.merge}",
                file=self.history.path,
                hint="The file was edited. Restore it: git checkout shiftright.lock",
            )

    def _as_it_stands(self, note: str | None) -> Verdict:
        complete = self.contract.settled or len(self.consumed) == len(self._steps)
        if self.decision.verdict is None:
            return self.contract.verdict(complete=complete, note=note)
        # decided before on the gate; only the must cases are new
        if self.contract.failed_must:
            return self.contract.verdict(complete=complete, note=note)
        return self.decision.verdict if note is None else self.contract.verdict(complete=False, note=note)

    def _remember(self, verdict: Verdict, *, capped: bool) -> None:
        decided = self._decided(verdict) and not capped
        if self.decision.verdict is None:
            frozen = self.frozen
            if not self.contract.failed_must and not capped:
                frozen = msgspec.structs.replace(frozen, must=self.must_digest)
            self.records.ledger.update_frozen(self.decision.row.id, msgspec.to_builtins(frozen))
            if decided:
                self.records.ledger.decide(self.decision.row.id, verdict)
            self.history.remember(
                self.target, self.decision.row, self.consumed, frozen, verdict if decided else None
            )

    def _decided(self, verdict: Verdict) -> bool:
        """Is the gate's part final? Failed ``must`` cases are not: they are looked at again on every eval. Neither is a
        suite that was too small: cases can be added."""
        if self.contract.failed_must:
            return False
        return verdict.verdict in ("pass", "fail") or self.contract.exhausted

    def _refuse_changed_cases(self) -> None:
        changed = self.target.changed()
        if changed is not None:
            raise DatasetChanged(
                "the cases changed while they were being decided on",
                file=changed,
                hint="Run the command again: answers are kept, and the decision is made on the new cases.",
            )

    def _step(self) -> None:
        open_checks = tuple(dict.fromkeys(test.plan.check for test in self.contract.open_clauses))
        execution = self._execution
        self.progress.step(
            Standing(
                len(self.consumed),
                len(self._steps),
                execution.calls,
                execution.tally.cost_usd,
                open_checks,
            )
        )

    def _calls(self) -> Calls:
        made = self._execution.calls
        fixed, limit = accounting.yardsticks(self.contract)
        return msgspec.structs.replace(made, fixed_sample=fixed, limit=limit)

    def _eval_run(
        self, verdict: Verdict, calls: Calls, cost_usd: float | None, *, run_id: str, stored: bool = False
    ) -> EvalRun:
        if stored:
            calls = Calls(0, 0, 0, *accounting.yardsticks(self.contract))
        return EvalRun(
            feature=self.target.spec.feature,
            variant=self.target.candidate.name,
            baseline=self.target.baseline.name if self.target.baseline else None,
            verdict=verdict,
            calls=calls,
            cost_usd=cost_usd,
            seconds=time.monotonic() - self.started,
            run_id=run_id,
            seed=self.decision.row.seed,
            estimand=self.frozen.estimand,
            attempt=self.decision.row.attempt,
            stored=stored,
            notes=(*self._judges, *self._notes),
        )


def _last_group(cases: Sequence[CaseScores]) -> int:
    """Where the last group begins."""
    return next((i for i in range(len(cases) - 1, 0, -1) if cases[i - 1].closes), 0)


def _ignore(run: CaseRun) -> None:
    """An answer beyond the deciding case: it is in the records for another decision, and in no test."""
