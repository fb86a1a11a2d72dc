"""``shiftright compare``: two recorded runs -> pairs -> the same tests as an eval, at fixed n -> Comparison."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from math import ceil

import msgspec

from shiftright.core.case import Case
from shiftright.core.spec import Check, Clause, Confidence
from shiftright.core.verdict import Calls, CheckRow, Merge, Outcome, Verdict
from shiftright.decisions import words
from shiftright.decisions.clauses import fixed_size, increment, plan_clause
from shiftright.decisions.contract import PLAIN_ERROR, ClauseTest, Frozen
from shiftright.decisions.order import Step, arrange
from shiftright.decisions.units import CaseScores
from shiftright.errors import UsageError
from shiftright.evals.compare.advisory import amounts, changes, levels, slices
from shiftright.evals.compare.comparison import Comparison
from shiftright.evals.compare.metrics import Measured, Scales, failed, measure
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
    ``shiftright eval`` tests it. Failed cases count as the worst value of their side, a missing score as the worst for
    ``new``; repeats of a case are averaged; cases of one ``group`` are one unit.

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
    found = measure(pairing.pairs, metric=metric, scales=_checked(scales or {}))
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


class MetricTest:
    """One metric's clause "drops by less than margin", tested on all cases there are, in the order given.

    A test ends where its evidence suffices, which may be before the last case. Where all cases together contradict what
    was proven on the way, the answer is taken back; this only makes it rarer, so the error rates hold.
    """

    def __init__(
        self, check: Check, cases: Sequence[CaseScores], *, clauses: int, confidence: Confidence
    ) -> None:
        units = [case.unit for case in cases]
        (clause,) = check.clauses
        rough = plan_clause(check, clause, confidence=confidence, clauses=clauses, units=len(set(units)))
        self.plan = msgspec.structs.replace(rough, cap=len(set(units)))
        self.means = UnitMeans.of([increment(self.plan, case) for case in cases], units)
        frozen = Frozen((self.plan,), SEED, largest_unit=self.means.largest, mean_unit=self.means.mean_size)
        self._test = ClauseTest(self.plan, frozen)
        self._test.add(cases)

    @property
    def harmful(self) -> bool:
        """Is a loss proven, strictly enough to refuse the merge?"""
        return self._test.harm_proven and self.means.mean < self.plan.good

    @property
    def fixed_sample(self) -> int:
        """Cases a fixed-size test of equal power needs, at the variance seen."""
        variance = max(self.means.variance, 0.05 * self.plan.gap)
        units = fixed_size(variance, self.plan.gap, self.plan.alpha, self.plan.beta)
        return ceil(units * self.means.mean_size)

    def row(self, target: str) -> CheckRow:
        """Estimate and interval are of all cases; the interval is cut off where more was proven, as in an eval."""
        means, bad, good = self.means, self.plan.bad, self.plan.good
        row = self._test.row(target)
        outcome, reason = row.verdict, row.reason
        if (outcome == "pass" and means.mean <= bad) or (outcome == "fail" and means.mean >= good):
            outcome = "inconclusive"
            reason = f"{reason}, but all {len(means)} together do not bear it out"
        low, high = means.interval(1.0 - PLAIN_ERROR)
        if outcome == "pass":
            low, high = max(low, bad), max(high, bad)
        elif self.harmful:
            low, high = min(low, good), min(high, good)
        return msgspec.structs.replace(
            row,
            verdict=outcome,
            reason=reason,
            estimate=means.mean,
            interval=(low, high),
            n=len(means),
            cases=means.cases,
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
        scores = [_scores(step, metric) for step in steps]
        test = MetricTest(check, scores, clauses=len(measured), confidence=confidence)
        tests.append(test)
        rows.append(test.row(words.target(check, check.clauses[0])))
    merge: Merge = "no" if any(test.harmful for test in tests) else "yes"
    return Decided(_verdict(rows, merge), max(test.fixed_sample for test in tests))


def check_of(metric: str, margin: float) -> Check:
    return Check(metric, metric, clauses=(Clause("max_drop", margin),))


def _scores(step: Step, metric: Measured) -> CaseScores:
    values = metric.cases[step.case.id]
    return CaseScores(
        step.case.id, {metric.metric: values.new}, {metric.metric: values.old}, step.unit, step.closes
    )


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
        f"{count} {words.units(count)} of the old file {'is' if count == 1 else 'are'} missing in the new one: "
        "a run that drops its failures would look like this"
    )
    if verdict.verdict == "pass":
        return msgspec.structs.replace(verdict, verdict="inconclusive", reasons=(said,))
    return msgspec.structs.replace(verdict, reasons=(*verdict.reasons, said))


def _of_pairing(pairing: Pairing) -> list[str]:
    """What no pair has, how pairs were found, and what failed in them."""
    sides = (("old", pairing.only_old), ("new", pairing.only_new))
    alone = [
        f"{len(ids)} {words.units(len(ids))} only in the {name} file, left out: {few(ids)}"
        for name, ids in sides
        if ids
    ]
    return [*alone, *pairing.notes, *_failures(pairing.pairs)]


def _cases(pairs: Sequence[Pair]) -> dict[str, Case]:
    return {pair.case_id: Case(pair.case_id, group=pair.group) for pair in pairs}


def _checked(scales: Mapping[str, tuple[float, float]]) -> Scales:
    for name, (worst, best) in scales.items():
        if worst == best:
            raise UsageError(
                f"the scale of {name} has no width", hint=f"--scale {name}=WORST:BEST, such as 1:5"
            )
    return scales


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
            notes.append(f"{count} case{'' if count == 1 else 's'} failed in the {name} file: scored 0 there")
    return notes
