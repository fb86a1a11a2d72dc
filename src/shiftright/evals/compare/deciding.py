"""``shiftright compare``: two recorded runs -> pairs -> the same tests as an eval, at fixed n -> Comparison."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import ceil

import msgspec

from shiftright.core.case import Case
from shiftright.core.counting import counted
from shiftright.core.spec import Check, Clause, Confidence
from shiftright.core.verdict import Calls, CheckRow, Merge, Outcome, Verdict
from shiftright.decisions import words
from shiftright.decisions.clauses import ClausePlan, fixed_size, increment, plan_clause
from shiftright.decisions.contract import PLAIN_ERROR, ClauseTest, Frozen
from shiftright.decisions.order import Step, arrange
from shiftright.decisions.units import CaseScores
from shiftright.errors import UsageError
from shiftright.evals.compare.advisory import amounts, changes, levels, slices
from shiftright.evals.compare.comparison import Comparison
from shiftright.evals.compare.metrics import CaseValues, Measured, Scales, failed, measure
from shiftright.evals.compare.naive import naive_answers
from shiftright.evals.compare.pairing import Pair, Pairing, few, pair
from shiftright.evals.compare.sources import Recorded, Source, open_source
from shiftright.evals.compare.unit_means import UnitMeans

# The order of the pairs is a hash of seed and id: the same pairs always come in the same order, so that comparing
# again is no second chance.
SEED = 0


def compare(
    old: Source,
    new: Source,
    *,
    margin: float = 0.03,
    metric: str | None = None,
    scales: Scales | None = None,
    confidence: Confidence | None = None,
) -> Comparison:
    """Is ``new`` worse than ``old``? Two recorded runs on the same cases: files of any tool, rows, or DataFrames.

    Each metric both sides have becomes the clause "drops by less than ``margin``", tested on all pairs as
    ``shiftright eval`` tests it. Failed cases count as the worst value of their side, a score lost to an error as the
    worst for ``new``; one missing without an error proves nothing. Repeats of a case are averaged; cases that share a
    ``group`` in either file are one unit.

    Args:
        margin: largest harmless drop, as a fraction of the scale (0.03 is 3 points).
        metric: compare this one only.
        scales: metric to its (worst, best) value, for metrics outside [0, 1] or where less is better.
        confidence: error rates of the two answers.

    Raises:
        DatasetError: for a file that cannot be read.
        UsageError: when cases cannot be paired, or no metric can be compared.
    """
    started = time.monotonic()
    if not 0.0 < margin < 1.0:
        raise UsageError(f"the margin must lie between 0 and 1, got {margin:g}", hint="3 points are 0.03.")
    before, after = open_source(old, "old", metric=metric), open_source(new, "new", metric=metric)
    pairing = pair(before.rows, after.rows)
    found = measure(pairing.pairs, metric=metric, scales=scales or {})
    decided = decide(pairing.pairs, found.measured, margin=margin, confidence=confidence or Confidence())
    verdict = _complete(decided.verdict, pairing)
    broke, fixed = changes(pairing.pairs, found.measured)
    cases = _cases(pairing.pairs)
    return Comparison(
        variant=after.name,
        baseline=before.name,
        verdict=verdict.verdict,
        merge=verdict.merge,
        reasons=verdict.reasons,
        checks=verdict.checks,
        calls=Calls(fixed_sample=decided.fixed_sample),
        seconds=time.monotonic() - started,
        seed=SEED,
        margin=margin,
        pairs=len(pairing.pairs),
        units=len({step.unit for step in arrange(cases.values(), seed=SEED).rest}),
        paired_by=pairing.by,
        only_old=pairing.only_old,
        only_new=pairing.only_new,
        levels=levels(found.measured),
        amounts=amounts(pairing.pairs),
        slices=slices(pairing.pairs, found.measured),
        broke=broke,
        fixed=fixed,
        naive=naive_answers(found.measured, margin=margin),
        notes=(*_warnings(before, after), *_of_pairing(pairing), *found.notes),
    )


class Decided(msgspec.Struct, frozen=True):
    verdict: Verdict
    fixed_sample: int


class Reading:
    """All cases of one metric, in the order given, under one reading of what is missing.

    The test ends where its evidence suffices, which may be before the last case. Where all cases together contradict
    what was proven on the way, the answer is taken back; this only makes it rarer, so the error rates hold.
    """

    def __init__(self, plan: ClausePlan, cases: Sequence[CaseScores]) -> None:
        self.plan = plan
        self.means = UnitMeans.of([increment(plan, case) for case in cases], [case.unit for case in cases])
        frozen = Frozen((plan,), SEED, largest_unit=self.means.largest, mean_unit=self.means.mean_size)
        self._test = ClauseTest(plan, frozen)
        self._test.add(cases)

    @property
    def harmful(self) -> bool:
        """Is a loss proven, strictly enough to refuse the merge?"""
        return self._test.harm_proven and self.means.mean < self.plan.good

    def row(self, target: str) -> CheckRow:
        """The test's row, its answer taken back where all cases contradict it."""
        row, mean = self._test.row(target), self.means.mean
        outcome, reason = row.verdict, row.reason
        if (outcome == "pass" and mean <= self.plan.bad) or (outcome == "fail" and mean >= self.plan.good):
            outcome = "inconclusive"
            reason = f"{reason}, but all {len(self.means)} together do not bear it out"
        return msgspec.structs.replace(row, verdict=outcome, reason=reason)


class MetricTest:
    """One metric's clause "drops by less than margin", tested on all cases there are.

    A value that is missing could have been any. So ``pass`` must be proven with the worst for the candidate in its
    place, a loss with the best: whatever the values would have been, the error rates hold.
    """

    def __init__(
        self,
        check: Check,
        cases: Sequence[CaseScores],
        *,
        at_best: Sequence[CaseScores] | None = None,
        clauses: int,
        confidence: Confidence,
    ) -> None:
        units = len({case.unit for case in cases})
        (clause,) = check.clauses
        rough = plan_clause(check, clause, confidence=confidence, clauses=clauses, units=units)
        self.plan = msgspec.structs.replace(rough, cap=units)
        self._worst = self._best = Reading(self.plan, cases)
        self._known = cases
        if at_best is not None and at_best != cases:
            self._best = Reading(self.plan, at_best)
            self._known = [case for case, best in zip(cases, at_best, strict=True) if case == best]
        self._unknown = len(cases) - len(self._known)

    @property
    def harmful(self) -> bool:
        """Is a loss proven, strictly enough to refuse the merge?"""
        return self._best.harmful

    @property
    def fixed_sample(self) -> int:
        """Cases a fixed-size test of equal power needs, at the variance seen."""
        plan, means = self.plan, self._worst.means
        units = fixed_size(max(means.variance, 0.05 * plan.gap), plan.gap, plan.alpha, plan.beta)
        return ceil(units * means.mean_size)

    def row(self, target: str) -> CheckRow:
        """The estimate is of the cases whose values are known, the interval of all: from the worst reading's lower end
        to the best one's upper end, cut off where more was proven, as in an eval."""
        worst, best = self._worst.row(target), self._best.row(target)
        row = best if best.verdict == "fail" else worst
        if row.verdict != best.verdict and row.verdict != "pass":
            lacking = counted(self._unknown)
            reason = f"it depends on {lacking} without a value in one of the files"
            row = msgspec.structs.replace(worst, verdict="inconclusive", reason=reason)
        level = 1.0 - PLAIN_ERROR
        low, high = self._worst.means.interval(level)[0], self._best.means.interval(level)[1]
        if row.verdict == "pass":
            low, high = max(low, self.plan.bad), max(high, self.plan.bad)
        elif self.harmful:
            low, high = min(low, self.plan.good), min(high, self.plan.good)
        known = [increment(self.plan, case) for case in self._known]
        return msgspec.structs.replace(
            row,
            estimate=sum(known) / len(known) if known else None,
            interval=(low, high),
            n=len(self._worst.means),
            cases=self._worst.means.cases,
            e_block=best.e_block,
        )


def decide(
    pairs: Sequence[Pair], measured: Sequence[Measured], *, margin: float, confidence: Confidence
) -> Decided:
    """The contract "no metric drops by ``margin``" on recorded pairs."""
    cases = _cases(pairs)
    tests, rows = [], []
    for metric in measured:
        check = check_of(metric.metric, margin)
        steps = arrange([cases[case_id] for case_id in metric.cases], seed=SEED).rest
        values = [metric.cases[step.case.id] for step in steps]
        test = MetricTest(
            check,
            [_scores(step, metric.metric, case) for step, case in zip(steps, values, strict=True)],
            at_best=[
                _scores(step, metric.metric, case.at_best) for step, case in zip(steps, values, strict=True)
            ],
            clauses=len(measured),
            confidence=confidence,
        )
        tests.append(test)
        rows.append(test.row(words.target(check, check.clauses[0])))
    merge: Merge = "no" if any(test.harmful for test in tests) else "yes"
    return Decided(_verdict(rows, merge), max(test.fixed_sample for test in tests))


def check_of(metric: str, margin: float) -> Check:
    return Check(metric, metric, clauses=(Clause("max_drop", margin),))


def _scores(step: Step, metric: str, values: CaseValues) -> CaseScores:
    return CaseScores(step.case.id, {metric: values.new}, {metric: values.old}, step.unit, step.closes)


def _verdict(rows: Sequence[CheckRow], merge: Merge) -> Verdict:
    outcomes = {row.verdict for row in rows}
    outcome: Outcome = "fail" if "fail" in outcomes else "pass" if outcomes == {"pass"} else "inconclusive"
    return Verdict(outcome, merge, tuple(rows), tuple(words.summary([], 0, rows, outcome)))


def _complete(verdict: Verdict, pairing: Pairing) -> Verdict:
    """Nothing is released on pairs that lack cases of the old file: those that fail are the likeliest to be lost."""
    count = len(pairing.only_old)
    if not count:
        return verdict
    said = (
        f"{counted(count)} of the old file {'is' if count == 1 else 'are'} missing in the new one: "
        "a run that drops its failures would look like this"
    )
    if verdict.verdict == "pass":
        return msgspec.structs.replace(verdict, verdict="inconclusive", reasons=(said,))
    return msgspec.structs.replace(verdict, reasons=(*verdict.reasons, said))


def _of_pairing(pairing: Pairing) -> list[str]:
    """What no pair has, how pairs were found, and what failed in them."""
    sides = (("old", pairing.only_old), ("new", pairing.only_new))
    alone = [
        f"{counted(len(ids))} only in the {name} file, left out: {few(ids)}" for name, ids in sides if ids
    ]
    return [*alone, *pairing.notes, *_failures(pairing.pairs)]


def _cases(pairs: Sequence[Pair]) -> dict[str, Case]:
    return {pair.case_id: Case(pair.case_id, group=pair.group, digest=pair.case_id) for pair in pairs}


def _warnings(before: Recorded, after: Recorded) -> list[str]:
    """What the readers said, with the file where only one of them said it."""
    both = [warning for warning in before.warnings if warning in after.warnings]
    sides = (("old", before.warnings), ("new", after.warnings))
    return both + [
        f"{name} file: {said}" for name, warnings in sides for said in warnings if said not in both
    ]


def _failures(pairs: Sequence[Pair]) -> list[str]:
    """How many cases failed outright, on either side."""
    notes = []
    for name, sides in (("old", [p.old for p in pairs]), ("new", [p.new for p in pairs])):
        count = sum(any(failed(row) for row in rows) for rows in sides)
        if count:
            notes.append(f"{counted(count)} failed in the {name} file: scored 0 there")
    return notes
