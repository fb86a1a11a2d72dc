"""A clause on live traffic: the quantity and the bounds of the offline decision, seen through a confidence sequence.

Nothing is shipped or blocked here, so there is no test with two errors but an interval: the clause holds when all of it
lies on the good side of the bound, it is broken when all of it lies on the other. The interval may be looked at after
every trace (stats.confidence), for a window whose start was fixed before its traces came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil, fsum, isfinite, log10

from shiftright.core.counting import counted
from shiftright.core.spec import Check, Clause, Confidence
from shiftright.core.verdict import LiveRow, LiveWord
from shiftright.decisions import words
from shiftright.decisions.clauses import ClausePlan, increment, natural, plan_clause
from shiftright.decisions.units import CaseScores

MEASURED = frozenset({"latency", "cost"})
"""Known of every trace without scoring it."""
FEEDBACK = "feedback"
FALLBACK = "fallback"
"""The share of requests that the feature itself did not answer; known of every trace."""
CHEAP = frozenset({"schema", "regex"})
"""Built-ins that ask nobody and take microseconds: every trace is scored, the rest by lot."""
_COMPARE = frozenset({"exact", "contains", "number", "similarity"})
_DIGITS = 3


def why_not(check: Check) -> str | None:
    """Why this check says nothing of live traffic; None where it does."""
    if check.score in _COMPARE:
        return "needs an expected output, which live traffic has not: shiftright eval decides it"
    if check.score == "judge" and check.params.get("pairwise"):
        return "compares with the baseline's output: shiftright eval decides it"
    return None


def live_row(
    check: Check,
    clause: Clause,
    values: Sequence[float | None],
    *,
    confidence: Confidence | None = None,
    level: float = 0.95,
) -> LiveRow:
    """One row of a window.

    Args:
        values: per trace its score, seconds or USD; infinity for a failed call under a limit, None for a failed
            measurement. Their order does not matter.
        level: of the interval.
    """
    if clause.relative:
        return _without_baseline(check, clause, values, level)
    if clause.enforced:
        return _counted(check, clause, values, level)
    plan = plan_clause(check, clause, confidence=confidence or Confidence(), clauses=1, units=len(values))
    counts = Counter(_rounded(value) if clause.kind == "mean_at_most" else value for value in values)
    missing = counts.pop(None, 0)
    if clause.kind == "mean_at_most" and not plan.unit:
        return _unlimited(check, clause, counts, missing, level)
    seen = Counter[float]()
    for value, count in counts.items():
        seen[increment(plan, CaseScores("", {check.name: (value,)}))] += count
    n = seen.total()
    if not n + missing:
        return _row(check, clause, None, None, None, 0, 0, level, "no traffic was measured")
    ends = _interval(plan, seen, missing, level)
    word: LiveWord = "holds" if ends[0] >= plan.bad else "broken" if ends[1] < plan.bad else "unclear"
    mean = fsum(x * count for x, count in seen.items()) / n if n else None
    shown = sorted((natural(plan, ends[0]), natural(plan, ends[1])))
    estimate = None if mean is None else natural(plan, mean)
    said = _said(word, n, missing)
    return _row(check, clause, word, estimate, (shown[0], shown[1]), n, missing, level, said)


def _interval(plan: ClausePlan, seen: Counter[float], missing: int, level: float) -> tuple[float, float]:
    """Of the mean increment, whatever the failed measurements would have said."""
    import numpy as np

    from shiftright.stats import mean_interval

    def ends(unknown: float) -> tuple[float, float]:
        filled = sorted((seen + Counter({unknown: missing})).items())
        xs = np.repeat([x for x, _ in filled], [count for _, count in filled])
        return mean_interval(np.clip(xs, plan.low, plan.high), level, low=plan.low, high=plan.high)

    low, high = ends(plan.low)
    return low, (ends(plan.high)[1] if missing else high)


def _counted(check: Check, clause: Clause, values: Sequence[float | None], level: float) -> LiveRow:
    """What no single trace may break."""
    known = [value for value in values if value is not None]
    limit = clause.bound
    broken = sum(value < 0.5 if clause.kind == "never_fails" else value > limit for value in known)
    n, missing = len(known), len(values) - len(known)
    if not n:
        return _row(check, clause, None, None, None, 0, missing, level, "no traffic was measured")
    word: LiveWord = "broken" if broken else "holds"
    said = (
        f"failed on {broken:,} of {counted(n, 'trace')}" if broken else f"held on all {counted(n, 'trace')}"
    )
    return _row(check, clause, word, 1.0 - broken / n, None, n, missing, level, said)


def _unlimited(
    check: Check, clause: Clause, counts: Counter[float | None], missing: int, level: float
) -> LiveRow:
    """A mean without a limit per request: it can be shown to be too high and never to be low enough."""
    from shiftright.stats import MeanCostTest

    amounts = [value for value in counts.elements() if value is not None and isfinite(value)]
    test = MeanCostTest(at_most=clause.bound, error=1.0 - level)
    test.update(amounts)
    n = len(amounts)
    if not n:
        return _row(check, clause, None, None, None, 0, missing, level, "no traffic was measured")
    word: LiveWord = "broken" if test.decision else "unclear"
    said = _said(word, n, missing) if test.decision else "add each_at_most to this check to prove a mean"
    return _row(check, clause, word, sum(amounts) / n, None, n, missing, level, said)


def _without_baseline(check: Check, clause: Clause, values: Sequence[float | None], level: float) -> LiveRow:
    known = [value for value in values if value is not None]
    missing = len(values) - len(known)
    said = "compares with a baseline on the same cases: shiftright eval decides it"
    if known:
        said = f"live mean {words.percent(sum(known) / len(known))}; it {said}"
    return _row(check, clause, None, None, None, len(known), missing, level, said)


def _row(
    check: Check,
    clause: Clause,
    word: LiveWord | None,
    estimate: float | None,
    interval: tuple[float, float] | None,
    n: int,
    failed: int,
    level: float,
    reason: str,
) -> LiveRow:
    target = words.target(check, clause)
    return LiveRow(check.name, clause.kind, target, word, estimate, interval, n, reason, failed, level)


def _said(word: LiveWord, n: int, missing: int) -> str:
    traces = counted(n, "trace")
    said = {"holds": f"proven on {traces}", "broken": f"proven to miss the bound on {traces}"}.get(
        word, f"{traces} so far say neither"
    )
    return said + (f"; {counted(missing, 'measurement')} failed" if missing else "")


def _rounded(value: float | None) -> float | None:
    """Up to three digits: a hundred thousand different costs become hundreds, and none becomes less."""
    if value is None or value <= 0.0 or not isfinite(value):
        return value
    step = 10.0 ** (ceil(log10(value)) - _DIGITS)
    return float(f"{ceil(value / step - 1e-9) * step:.12g}")
