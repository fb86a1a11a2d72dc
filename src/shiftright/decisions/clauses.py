"""One clause of the contract as a test on bounded numbers.

A clause sees one number per case, the increment; its mean is what the clause is about. Boundaries ``bad`` < ``good``
are in the increment's unit (statistics.md, sections a, b, e, f):

    at_least p      x = score                      in [0, 1]     bad = p        good = comfortable
    at_most p       x = 1 - score                  in [0, 1]     bad = 1 - p    good = 1 - comfortable
    max_drop m      x = candidate - baseline       in [-1, 1]    bad = -m       good = 0
    min_gain g      x = candidate - baseline       in [-1, 1]    bad = 0        good = g
    p95_at_most L   x = 1 if within L else 0       in [0, 1]     bad = .95      good = .97
    mean_at_most m  x = -amount / each_at_most     in [-1, 0]    bad = -m/each  good = comfortable, 0.8 m
"""

from __future__ import annotations

from math import ceil, expm1, log, log1p
from statistics import NormalDist

import msgspec

from shiftright.core.spec import Check, Clause, ClauseKind, Confidence
from shiftright.decisions.units import CaseScores, Units
from shiftright.store.rows import ConsumedRow

# Variance of a paired difference of 0/1 scores before anything was measured: a third of the cases flip in one of the
# two directions. Only the cap and the printed plan rest on it, never an error rate.
ASSUMED_PAIR_VARIANCE = 0.20
CAP_FACTOR = 1.5
LARGEST_BET = 0.95  # of what keeps wealth positive, as in stats
SMALLEST_COMFORT = 0.02
SLA_SHARE = 0.95
SLA_COMFORT = 0.97
CHEAPER = 0.8


class ClausePlan(msgspec.Struct, frozen=True):
    """Everything a clause's test is built from; frozen in the ledger at a decision's first call.

    ``unit`` scales an amount to the increment (``each_at_most``; 1 for scores; 0 where no cap exists, then the clause
    can be disproven but not proven). ``variance`` is the planning variance of the increments and ``measured`` says
    whether it comes from a sample. ``fixed_n`` is the fixed-size test of equal power (None for a 95 % limit, where
    calls in time are counted), ``cap`` the sequential test's end: ``most`` (1.5 times that test) or all the units
    there are.
    """

    check: str
    score: str
    kind: ClauseKind
    bound: float
    low: float
    bad: float
    good: float
    high: float
    alpha: float
    beta: float
    red: float
    variance: float
    measured: bool
    fixed_n: int | None
    most: int
    cap: int
    unit: float = 1.0
    planning: tuple[float, ...] | None = None

    @property
    def gap(self) -> float:
        return self.good - self.bad


def tested(check: Check) -> list[Clause]:
    """The clauses of a check that are decided on evidence."""
    return [clause for clause in check.clauses if not clause.enforced]


def increment(plan: ClausePlan, scores: CaseScores | ConsumedRow) -> float:
    """The case's number for this clause, mean over repeats. A failed measurement is the worst value for the candidate.

    Amounts above ``each_at_most`` count as that limit: the request is stopped there.
    """
    kind = plan.kind
    candidate = scores.candidate.get(plan.check, ())
    if kind in ("max_drop", "min_gain"):
        baseline = scores.baseline.get(plan.check, ())
        if not candidate or not baseline or None in candidate or None in baseline:
            return -1.0
        return sum(candidate) / len(candidate) - sum(baseline) / len(baseline)  # type: ignore[arg-type]
    if not candidate:
        return plan.low
    return sum(_single(plan, value) for value in candidate) / len(candidate)


def _single(plan: ClausePlan, value: float | None) -> float:
    if value is None:
        return plan.low
    if plan.kind == "at_least":
        return value
    if plan.kind == "at_most":
        return 1.0 - value
    if plan.kind == "p95_at_most":
        return 1.0 if value <= plan.bound else 0.0
    return -min(value / plan.unit, 1.0) if plan.unit else -value


def natural(plan: ClausePlan, x: float) -> float:
    """The tested quantity for a mean increment: a score, a difference, a share, or an amount in USD or seconds."""
    if plan.kind == "at_most":
        return 1.0 - x
    if plan.kind == "mean_at_most":
        return -x * (plan.unit or 1.0) + 0.0  # no "-0 USD"
    return x


def fixed_size(variance: float, gap: float, alpha: float, beta: float) -> int:
    """Cases a fixed-size test needs: (z_alpha + z_beta)^2 V / gap^2 (statistics.md, section j)."""
    z = NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(1 - beta)
    return max(1, ceil(z * z * variance / gap**2))


def resolvable(plan: ClausePlan, units: Units, variance: float | None = None) -> float:
    """The smallest gap between bad and good that these units resolve: sqrt(z^2 V / (N / 1.5)), and never less than
    even flawless ones can show. ``variance`` is of a unit's mean and defaults to the planned one."""
    spread = plan.variance if variance is None else variance
    z = NormalDist().inv_cdf(1 - plan.alpha) + NormalDist().inv_cdf(1 - plan.beta)
    by_variance = z * (spread / max(units.n / CAP_FACTOR, 1.0)) ** 0.5
    growth = expm1(log(2.0 / plan.alpha) / max(units.n, 1))
    flawless = (plan.bad - plan.low) * growth / LARGEST_BET / units.share
    return float(max(by_variance, flawless))


def units_needed(plan: ClausePlan, variance: float | None = None, share: float = 1.0) -> int:
    """Units at which the clause's gap is resolved: 1.5 times the fixed-size test, and never fewer than flawless ones.

    For a 95 % limit it is the number that suffices when all calls are in time. ``share`` is that of ``Units``.
    """
    if plan.kind == "p95_at_most":
        return _fewest(plan.low, plan.bad, (plan.high - plan.bad) * share, plan.alpha)
    spread = plan.variance if variance is None else variance
    by_variance = ceil(CAP_FACTOR * fixed_size(spread, plan.gap, plan.alpha, plan.beta))
    return max(by_variance, _fewest(plan.low, plan.bad, plan.gap * share, plan.alpha))


def _fewest(low: float, bad: float, above: float, alpha: float) -> int:
    """Cases until evidence reaches 1/alpha when every increment lies ``above`` the bad boundary: half of the wealth
    grows by 1 + .95 above / (bad - low) a case (statistics.md, section 0)."""
    return 1 if bad <= low else ceil(log(2.0 / alpha) / log1p(LARGEST_BET * above / (bad - low)))


def plan_clause(
    check: Check,
    clause: Clause,
    *,
    confidence: Confidence,
    clauses: int,
    attempt: int = 1,
    units: int,
    baseline_level: float | None = None,
    planning: tuple[float, ...] | None = None,
) -> ClausePlan:
    """The test of one clause.

    ``clauses`` is the number of tested clauses of the contract: blocking is a union of claims, so each gets
    wrong_block / clauses and false_red / clauses, while shipping needs every clause and no correction (Berger 1982).
    Attempt j ships at wrong_ship * 6 / (pi^2 j^2) and calls harm at false_red times the same. ``units`` are the
    independent units there are, ``planning`` increments of other cases, ``baseline_level`` the baseline's mean score
    where it is known from other cases.
    """
    low, bad, good, high, unit = _boundaries(check, clause, baseline_level)
    alpha = attempt_alpha(confidence.wrong_ship, attempt)
    beta = confidence.wrong_block / clauses
    measured = planning is not None and len(planning) >= 2
    variance = _variance(planning) if planning is not None and measured else _assumed(clause, bad, good)
    fixed = fixed_size(variance, good - bad, alpha, beta)
    most = max(ceil(CAP_FACTOR * fixed), 2 * _fewest(low, bad, good - bad, alpha))
    return ClausePlan(
        check=check.name,
        score=check.score,
        kind=clause.kind,
        bound=clause.bound,
        low=low,
        bad=bad,
        good=good,
        high=high,
        alpha=alpha,
        beta=beta,
        red=attempt_alpha(confidence.false_red, attempt) / clauses,
        variance=variance,
        measured=measured,
        fixed_n=None if clause.kind == "p95_at_most" else fixed,
        most=most,
        cap=max(1, min(most, units)),
        unit=unit,
        planning=planning if measured else None,
    )


def attempt_alpha(alpha: float, attempt: int) -> float:
    """The first attempt runs at the stated alpha, attempt j > 1 at alpha * 6 / (pi^2 j^2).

    However many attempts follow, their wrong-ship rates together stay below 1.4 alpha (1 + sum over j > 1).
    """
    return alpha if attempt == 1 else alpha * 6.0 / (3.141592653589793**2 * attempt**2)


def _boundaries(
    check: Check, clause: Clause, baseline_level: float | None
) -> tuple[float, float, float, float, float]:
    bound, comfortable = clause.bound, clause.comfortable
    if clause.kind == "max_drop":
        return -1.0, -bound, 0.0, 1.0, 1.0
    if clause.kind == "min_gain":
        return -1.0, 0.0, bound, 1.0, 1.0
    if clause.kind == "p95_at_most":
        return 0.0, SLA_SHARE, SLA_COMFORT, 1.0, 1.0
    if clause.kind == "mean_at_most":
        each = check.clause("each_at_most")
        unit = each.bound if each else 0.0
        scale = unit or 1.0
        good = CHEAPER * bound if comfortable is None else comfortable
        return -1.0, -bound / scale, -good / scale, 0.0, unit
    if clause.kind == "at_most":
        level = None if baseline_level is None else 1.0 - baseline_level
        good = 1.0 - comfortable if comfortable is not None else _comfort(1.0 - bound, level)
        return 0.0, 1.0 - bound, good, 1.0, 1.0
    good = comfortable if comfortable is not None else _comfort(bound, baseline_level)
    return 0.0, bound, good, 1.0, 1.0


def _comfort(bad: float, level: float | None) -> float:
    """Midway to the baseline's level, at least 2 points above the bad boundary, inside the scale."""
    wished = bad + SMALLEST_COMFORT if level is None else max((bad + level) / 2, bad + SMALLEST_COMFORT)
    return wished if wished < 1.0 else (bad + 1.0) / 2


def _variance(values: tuple[float, ...]) -> float:
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values) / (len(values) - 1)


def _assumed(clause: Clause, bad: float, good: float) -> float:
    """A bounded score has variance at most m(1 - m) at mean m; a difference has none such, see the constant."""
    if clause.relative:
        return ASSUMED_PAIR_VARIANCE
    middle = abs(bad + good) / 2
    return max(middle * (1.0 - middle), 1e-4)
