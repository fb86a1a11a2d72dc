"""Yardsticks beside a decision's cost, and what earlier decisions tell the next."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from shiftright.decisions.clauses import fixed_size
from shiftright.decisions.contract import ClauseTest, ContractTest
from shiftright.decisions.ledger import Book
from shiftright.evals.target import Side, Target
from shiftright.stats import expected_calls_limit
from shiftright.store import Records
from shiftright.store.rows import ConsumedRow, DecisionRow

ENOUGH = 10


def yardsticks(contract: ContractTest) -> tuple[int | None, float | None]:
    """(fixed-size test of equal power, limit of statistics.md section L) of the slowest clause that is decided, both in
    cases.

    Both use the variance and the law of the independent units seen, so they are estimates; None before ten units, the
    limit also while nothing is decided.
    """
    if contract.units < ENOUGH or not contract.clauses:
        return None, None
    pairs = [_clause(test, contract.cases / contract.units) for test in contract.clauses]
    decided = [(limit, fixed) for fixed, limit in pairs if limit is not None]
    if not decided:
        return max(fixed for fixed, _ in pairs), None
    limit, fixed = max(decided)
    return max(fixed, ceil(limit)), limit


def _clause(test: ClauseTest, unit_size: float) -> tuple[int, float | None]:
    plan, xs, gap = test.plan, test.increments, test.plan.gap * test.share
    mean = sum(xs) / len(xs)
    variance = max(sum((x - mean) ** 2 for x in xs) / len(xs), 0.05 * gap)
    fixed = ceil(fixed_size(variance, gap, plan.alpha, plan.beta) * unit_size)
    decision = test.release.decision
    if decision not in ("ship", "block") or (plan.kind == "mean_at_most" and not plan.unit):
        return fixed, None
    shipped = decision == "ship"
    limit = expected_calls_limit(
        xs,
        bad=plan.bad,
        good=plan.bad + gap,
        alpha=plan.alpha,
        beta=plan.beta,
        p_ship=1.0 if shipped else 0.0,
        low=plan.low,
        high=plan.high,
    )
    return fixed, limit * unit_size if limit < float("inf") else None


def baseline_repeats(target: Target, book: Book, records: Records) -> int:
    """K_b for a new decision: 1 for the first candidate; one more for each further candidate up to 5, once repeated
    answers of the baseline were seen to differ.

    K_b is the same for all cases of a decision: topping up only the cases that disagreed would bias their mean (at a
    pass rate of .8, stopping at two equal answers gives .858).
    """
    if target.baseline is None or target.baseline.feature.recorded:
        return 1
    candidates = {
        row.parts.get("candidate")
        for row, _ in book.rows
        if row.parts.get("baseline") == target.baseline.digest
        and row.parts.get("candidate") != target.candidate.digest
    }
    if not candidates or not _flaky(target.baseline, records):
        return 1
    return min(1 + len(candidates), 5)


def first_unused_repeat(rows: Sequence[tuple[DecisionRow, Sequence[ConsumedRow]]], attempt: int) -> int:
    """The first repeat of the candidate that no attempt before this one has asked for."""
    earlier = (row.frozen for row, _ in rows if row.attempt < attempt)
    return max((frozen.get("first_repeat", 0) + frozen.get("repeats", 1) for frozen in earlier), default=0)


def _flaky(baseline: Side, records: Records) -> bool:
    """Did two answers of the baseline to one input ever differ, in this generation of them?"""
    outputs: dict[str, object] = {}
    for (input_digest, repeat), row in records.answers.get(baseline.digest).items():
        if (
            repeat >= baseline.first_repeat
            and outputs.setdefault(input_digest, row.answer.output) != row.answer.output
        ):
            return True
    return False


def last_run(records: Records, decision: DecisionRow) -> str | None:
    """The run that made a decision, when it was made on this machine."""
    runs = records.runs.list(decision.feature, limit=200)
    return next((run.id for run in runs if run.decision_id == decision.id), None)
