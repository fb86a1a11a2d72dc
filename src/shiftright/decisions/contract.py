"""The tests of one contract, fed case by case in the recorded order, and the Verdict they add up to."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from shiftright.core.spec import Check, Spec
from shiftright.core.verdict import CheckRow, Merge, Outcome, Verdict
from shiftright.decisions import words
from shiftright.decisions.clauses import ClausePlan, increment, natural
from shiftright.decisions.uncapped import UncappedMean
from shiftright.decisions.units import CaseScores, Units
from shiftright.stats import BoundaryTest, SuiteTest

Estimand = Literal["population", "suite"]


class Frozen(msgspec.Struct, frozen=True):
    """What a decision fixed at its first call, so that a later call continues the same test.

    ``seed`` orders the cases; ``largest_unit`` and ``mean_unit`` are sizes of groups in cases; ``suite`` is the number
    of units of the suite (suite mode only); ``baseline_repeats`` is K_b. ``raises`` lists (cases consumed, units there
    are) for each time cases were added to an open decision, ``units`` what there were at first. ``must`` is the digest
    of the ``must`` cases that had passed when it was decided. The candidate runs ``repeats`` times a case, counted from
    ``first_repeat``: a later attempt asks for answers that no earlier one has used.
    """

    clauses: tuple[ClausePlan, ...]
    seed: int
    estimand: Estimand = "population"
    largest_unit: int = 1
    mean_unit: float = 1.0
    suite: int = 0
    baseline_repeats: int = 1
    raises: tuple[tuple[int, int], ...] = ()
    units: int = 0
    must: str | None = None
    repeats: int = 1
    first_repeat: int = 0


# below this many units the planned variance is the better guess
ENOUGH = 30
PLAIN_ERROR = 0.05
AGAIN = 100
"""Units after a quick block: one change in thirty that loses 20 points would be merged for want of a few more."""


def last_asked_for_harm(blocked_at: int) -> int:
    """Units at which a run ends that has blocked the release and not proven harm."""
    return blocked_at + max(blocked_at, AGAIN)


class SequentialTest(Protocol):
    """What BoundaryTest, SuiteTest and UncappedMean share."""

    @property
    def decision(self) -> Literal["ship", "block", "inconclusive"] | None: ...
    @property
    def n(self) -> int: ...
    @property
    def mean(self) -> float | None: ...
    @property
    def e_ship(self) -> float: ...
    @property
    def e_block(self) -> float: ...

    def update(self, x: Sequence[float]) -> object: ...
    def interval(self, level: float = 0.95) -> tuple[float, float] | None: ...


class ClauseTest:
    """Two tests on the same increments: may it ship (at wrong_ship, wrong_block), and is harm proven (at false_red)?

    Harm is a mean below ``good`` for ``max_drop`` (any loss) and below ``bad`` for every other clause (the stated bound
    itself is missed), so a change that keeps an already mediocre level is not called harmful.
    """

    def __init__(self, plan: ClausePlan, frozen: Frozen) -> None:
        self.plan, self._largest = plan, frozen.largest_unit
        self.share = frozen.mean_unit / frozen.largest_unit
        self.increments = array("d")  # one a unit, also those that came after the decision
        self._group: list[float] = []
        self._sizes: list[int] = []
        self.release = _release_test(plan, frozen)
        self.harm = _harm_test(plan, frozen)

    def add(self, cases: Iterable[CaseScores]) -> None:
        xs = [increment(self.plan, case) for case in cases] if self._largest == 1 else self._units(cases)
        if not xs:
            return
        self.increments.extend(xs)
        before = self.release.n
        self.release.update(xs)
        if self.release.decision == "ship":
            # what has shipped is not asked for harm, and when cannot depend on how cases were batched
            xs = xs[: max(self.release.n - before - 1, 0)]
        if self.harm is not None and xs:
            self.harm.update(xs)

    def _units(self, cases: Iterable[CaseScores]) -> list[float]:
        """bad + the sum of (x - bad) over each complete group divided by the largest group's size: one number a unit,
        in the bounds of a case's, that keeps the case-weighted mean on its side of bad (statistics.md, section a)."""
        closed = []
        for case in cases:
            self._group.append(increment(self.plan, case) - self.plan.bad)
            if case.closes:
                closed.append(self.plan.bad + sum(self._group) / self._largest)
                self._sizes.append(len(self._group))
                self._group = []
        return closed

    def used(self, n: int) -> Units:
        """The first n units and the cases in them."""
        return Units(n, n if self._largest == 1 else sum(self._sizes[:n]), self.share)

    @property
    def variance(self) -> float | None:
        """Of the units seen, as the tested mean has it; None while there are too few."""
        n = len(self.increments)
        if n < ENOUGH:
            return None
        mean = sum(self.increments) / n
        return sum((x - mean) ** 2 for x in self.increments) / n / self.share**2

    def quantity(self, x: float) -> float:
        """A mean increment as the tested quantity."""
        x = x if self.share == 1.0 else self.plan.bad + (x - self.plan.bad) / self.share
        return natural(self.plan, min(max(x, self.plan.low), self.plan.high) if self.plan.unit else x)

    @property
    def _fullest(self) -> SequentialTest:
        """The test that has seen more: after a block the question of harm may have gone on."""
        return self.harm if self.harm is not None and self.harm.n > self.release.n else self.release

    @property
    def estimate(self) -> float | None:
        mean = self._fullest.mean
        return None if mean is None else self.quantity(mean)

    @property
    def level(self) -> float:
        """What ``interval`` covers, with at least this probability."""
        return round(1.0 - PLAIN_ERROR - max(self.plan.alpha, self.plan.red), 9)

    def interval(self) -> tuple[float, float] | None:
        """Of the tested quantity; None before the first unit, and for a mean without a limit.

        A 95 % confidence sequence, cut off where a test has shown more: above ``bad`` once shipped (at alpha), below
        the harmless level once harm is proven (at false_red). Together they hold at ``level``, by the union bound.
        """
        found = self._fullest.interval(1.0 - PLAIN_ERROR) if self._fullest.n else None
        if found is None:
            return None
        ends = sorted((self.quantity(found[0]), self.quantity(found[1])))
        if self.outcome == "pass":
            ends = self._cut(ends, self.plan.bad, above=True)
        elif self.harm_proven:
            ends = self._cut(
                ends, self.plan.good if self.plan.kind == "max_drop" else self.plan.bad, above=False
            )
        return (ends[0], ends[1])

    def _cut(self, ends: list[float], bound: float, *, above: bool) -> list[float]:
        """Keep the part above (or below) an increment's bound; a smaller quantity may be the better one."""
        limit = natural(self.plan, bound)
        rising = natural(self.plan, self.plan.high) >= natural(self.plan, self.plan.low)
        low, high = ends
        return [max(low, limit), max(high, limit)] if above == rising else [min(low, limit), min(high, limit)]

    @property
    def harm_proven(self) -> bool:
        return self.harm is not None and self.harm.decision == "block"

    def raise_cap(self, units: int) -> None:
        """There are ``units`` units now: the cap follows, up to 1.5 times the fixed-size test."""
        cap = min(self.plan.most, units)
        for test in (self.release, self.harm):
            if isinstance(test, BoundaryTest) and cap > (test.cap or cap):
                test.raise_cap(cap)

    @property
    def outcome(self) -> Outcome:
        decision = self.release.decision
        return "pass" if decision == "ship" else "fail" if decision == "block" else "inconclusive"

    def row(self, target: str) -> CheckRow:
        plan, test = self.plan, self.release
        seen = self.used(self._fullest.n)
        return CheckRow(
            check=plan.check,
            clause=plan.kind,
            target=target,
            verdict=self.outcome,
            estimate=self.estimate,
            interval=self.interval(),
            n=seen.n,
            cases=seen.cases,
            ship_at=1.0 / plan.alpha,
            block_at=1.0 / plan.beta,
            e_ship=test.e_ship,
            e_block=test.e_block,
            level=self.level,
            reason=words.reason(
                plan,
                decision=test.decision,
                seen=self.used(test.n),
                harm_at=self.used(self.harm.n) if self.harm is not None and self.harm_proven else None,
                regressed=bool(getattr(test, "regressed", False)),
                variance=self.variance,
            ),
        )


def _release_test(plan: ClausePlan, frozen: Frozen) -> SequentialTest:
    if plan.kind == "mean_at_most" and not plan.unit:
        return UncappedMean(at_most=plan.bound, error=plan.beta, cap=plan.cap)
    return _boundary(plan, frozen, plan.bad, plan.good, plan.alpha, plan.beta)


def _harm_test(plan: ClausePlan, frozen: Frozen) -> SequentialTest | None:
    if plan.kind == "mean_at_most" and not plan.unit:
        return UncappedMean(at_most=plan.bound, error=plan.red, cap=plan.cap)
    if plan.kind == "max_drop":
        return _boundary(plan, frozen, plan.bad, plan.good, plan.alpha, plan.red)
    if plan.bad <= plan.low:
        return None
    return _boundary(plan, frozen, max(plan.bad - plan.gap, plan.low), plan.bad, plan.alpha, plan.red)


def _boundary(
    plan: ClausePlan, frozen: Frozen, bad: float, good: float, alpha: float, beta: float
) -> SequentialTest:
    if frozen.estimand == "suite":
        return SuiteTest(
            cases=frozen.suite, bad=bad, good=good, low=plan.low, high=plan.high, alpha=alpha, beta=beta
        )
    if frozen.largest_unit == 1:
        return BoundaryTest(
            bad=bad,
            good=good,
            low=plan.low,
            high=plan.high,
            alpha=alpha,
            beta=beta,
            cap=plan.cap,
            planning=plan.planning,
        )
    # how far a mean lies from plan.bad shrinks with groups smaller than the largest, see ClauseTest._units
    share = frozen.mean_unit / frozen.largest_unit
    return BoundaryTest(
        bad=plan.bad + (bad - plan.bad) * share,
        good=plan.bad + (good - plan.bad) * share,
        low=plan.low,
        high=plan.high,
        alpha=alpha,
        beta=beta,
        cap=plan.cap,
    )


class ContractTest:
    """All clauses of a contract on one stream of cases.

    Ship needs every clause (intersection-union, no correction); a block needs one, each at its share of wrong_block.
    Every case goes to every clause until that clause is decided (statistics.md, section c).
    """

    def __init__(self, spec: Spec, frozen: Frozen) -> None:
        self.spec = spec
        self.clauses = [ClauseTest(plan, frozen) for plan in frozen.clauses]
        self.invariants = [check for check in spec.checks if check.clause("never_fails")]
        self.broken: dict[str, list[str]] = {check.name: [] for check in self.invariants}
        self.failed_must: list[str] = []
        self.must_cases = 0
        self.cases = 0
        self.units = 0

    def add(self, cases: Sequence[CaseScores]) -> None:
        """Use cases in the order given."""
        self.cases += len(cases)
        self.units += sum(case.closes for case in cases)
        for test in self.clauses:
            test.add(cases)
        for check in self.invariants:
            name = check.name
            self.broken[name] += [c.case_id for c in cases if not holds(c.candidate.get(name, ()))]

    def replay(self, cases: Sequence[CaseScores], raises: Sequence[tuple[int, int]]) -> None:
        """Use what an earlier call consumed, with the caps as they were raised on the way."""
        start = 0
        for consumed, units in raises:
            self.add(cases[start:consumed])
            for test in self.clauses:
                test.raise_cap(units)
            start = consumed
        self.add(cases[start:])

    def add_must(self, case_id: str, passed: bool) -> None:
        """The result of one ``must`` case."""
        self.must_cases += 1
        if not passed:
            self.failed_must.append(case_id)

    @property
    def broke_invariant(self) -> bool:
        return any(self.broken.values())

    @property
    def settled(self) -> bool:
        """Would more cases change nothing that is asked? To be looked at after whole units.

        After a proven block the run goes on for at most as many units again, or AGAIN, to see whether the loss is
        proven strictly enough to refuse the merge as well.
        """
        if self.failed_must or self.broke_invariant:
            return True
        blocked = [test.release.n for test in self.clauses if test.outcome == "fail"]
        if blocked:
            return self.harm_proven or self.units >= last_asked_for_harm(min(blocked))
        return bool(self.clauses) and all(test.release.decision is not None for test in self.clauses)

    @property
    def exhausted(self) -> bool:
        """Has every open clause used 1.5 times the fixed-size test, so that more cases would not be used either?"""
        undecided = [test for test in self.clauses if test.outcome == "inconclusive"]
        return bool(undecided) and all(
            test.release.decision == "inconclusive" and test.release.n >= test.plan.most for test in undecided
        )

    @property
    def open_clauses(self) -> list[ClauseTest]:
        return [test for test in self.clauses if test.release.decision is None]

    @property
    def harm_proven(self) -> bool:
        return any(test.harm_proven for test in self.clauses)

    def verdict(self, *, complete: bool = True, note: str | None = None) -> Verdict:
        """The two answers now. ``complete``: every case the contract asks for has been run, so an invariant that
        held so far has held; ``note`` (a cap, an interruption) leads the reasons."""
        rows = [row for check in self.spec.checks for row in self._rows(check, complete)]
        merge: Merge = "no" if self.failed_must or self.broke_invariant or self.harm_proven else "yes"
        outcome = self._outcome(rows)
        reasons = ([note] if note else []) + words.summary(self.failed_must, self.must_cases, rows, outcome)
        return Verdict(verdict=outcome, merge=merge, checks=tuple(rows), reasons=tuple(reasons))

    def _outcome(self, rows: Sequence[CheckRow]) -> Outcome:
        if self.failed_must or any(row.verdict == "fail" for row in rows):
            return "fail"
        return "pass" if rows and all(row.verdict == "pass" for row in rows) else "inconclusive"

    def _rows(self, check: Check, complete: bool) -> list[CheckRow]:
        rows = []
        for clause in check.clauses:
            target = words.target(check, clause)
            if clause.kind == "never_fails":
                rows.append(self._invariant_row(check, target, complete))
            elif not clause.enforced:
                test = next(
                    t for t in self.clauses if (t.plan.check, t.plan.kind) == (check.name, clause.kind)
                )
                rows.append(test.row(target))
        return rows

    def _invariant_row(self, check: Check, target: str, complete: bool) -> CheckRow:
        failed = self.broken[check.name]
        held = complete and self.cases > 0 and not failed
        outcome: Outcome = "fail" if failed else "pass" if held else "inconclusive"
        return CheckRow(
            check=check.name,
            clause="never_fails",
            target=target,
            verdict=outcome,
            estimate=1.0 - len(failed) / self.cases if self.cases else None,
            interval=None,
            n=self.units,
            cases=self.cases,
            ship_at=None,
            block_at=None,
            e_ship=None,
            e_block=None,
            reason=words.invariant(failed, Units(self.units, self.cases)),
        )


def holds(values: Sequence[float | None]) -> bool:
    """An invariant holds on a case when every repeat was measured and passed."""
    return bool(values) and all(value is not None and value >= 0.5 for value in values)
