"""Before the run: how many cases a question needs, and what the cases at hand can resolve."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats import _inputs
from shiftright.stats._bets import Array, summarise, tilt
from shiftright.stats.boundary import BoundaryTest
from shiftright.stats.limit import clean_cases_needed

CAP_FACTOR = 1.5  # cap / fixed_n: buys back the power that deciding early costs
_BUDGET = 200_000  # simulated increments in all: about one second


@dataclass(frozen=True)
class Plan:
    """What a decision will cost, in increments. ``cap`` is never above the cases available; ``needed``
    ignores them.
    """

    fixed_n: int
    cap: int
    needed: int
    expected_calls: dict[str, float]
    resolvable_margin: float


def plan(
    values: ArrayLike,
    *,
    bad: float,
    good: float,
    alpha: float,
    beta: float,
    low: float | None = None,
    high: float | None = None,
    n_available: int | None = None,
    seed: int = 0,
) -> Plan:
    """Plan a BoundaryTest from increments of other cases (``values``, shape (n,); their variance is V).

    - ``fixed_n`` = (z_alpha + z_beta)^2 V / (good - bad)^2: the classical test of the same power, rounded
      up.
    - ``needed`` = 1.5 fixed_n, or 1.5 times the fewest clean cases that can prove the claim if that is
      more; ``cap`` = the smaller of it and ``n_available``.
    - ``expected_calls``: mean increments of the exact test, simulated on ``values`` tilted to the means
      {"bad", "middle", "good"}. Deterministic for a seed; takes about a second.
    - ``resolvable_margin``: the smallest good - bad that ``n_available`` cases (default: ``needed``) can
      resolve.

    Errors: ValueError on an empty, non-finite or out-of-range sample, or bad boundaries.
    """
    xs = np.asarray(values, np.float64)
    if xs.ndim != 1 or xs.size == 0 or not np.isfinite(xs).all():
        raise ValueError("values must be a non-empty 1-D array of finite numbers")
    low = min(float(xs.min()), bad) if low is None else low
    high = max(float(xs.max()), good) if high is None else high
    low, bad, good, high = _inputs.boundaries(low, bad, good, high)
    xs = np.array(_inputs.increments(xs, low, high))
    alpha, beta = _inputs.probability("alpha", alpha), _inputs.probability("beta", beta)
    n_available = _inputs.size("n_available", n_available)
    variance, gap = float(xs.var()), good - bad
    fixed_n = fixed_size(variance, gap, alpha=alpha, beta=beta)
    clean = max(
        clean_cases_needed(gap, good - low, alpha),
        clean_cases_needed(gap, high - bad, beta),
    )
    needed = max(ceil(CAP_FACTOR * fixed_n), ceil(CAP_FACTOR * clean))
    cap = needed if n_available is None else min(needed, n_available)
    rng = np.random.default_rng(seed)
    means = {"bad": bad, "middle": (bad + good) / 2.0, "good": good}
    runs = min(max(_BUDGET // (len(means) * cap), 25), 400)
    calls = {}
    for name, mean in means.items():
        laws = _tilted(xs, mean, low, high)
        draws = rng.choice(laws[0], size=(runs, cap), p=laws[1])
        calls[name] = float(np.mean([_calls(row, xs, low, bad, good, high, alpha, beta) for row in draws]))
    cases = needed if n_available is None else n_available
    return Plan(fixed_n, cap, needed, calls, _resolvable(variance, good - low, cases, alpha, beta))


def fixed_size(variance: float, gap: float, *, alpha: float, beta: float) -> int:
    """Cases of the classical one-sided fixed-size test: (z_alpha + z_beta)^2 variance / gap^2, at least 1."""
    return max(1, ceil(_z2(alpha, beta) * variance / gap**2))


def _z2(alpha: float, beta: float) -> float:
    normal = NormalDist()
    return (normal.inv_cdf(1.0 - alpha) + normal.inv_cdf(1.0 - beta)) ** 2


def _resolvable(variance: float, room: float, cases: int, alpha: float, beta: float) -> float:
    usable = cases / CAP_FACTOR
    return max(sqrt(_z2(alpha, beta) * variance / usable), room * (1.0 - exp(-log(1.0 / alpha) / usable)))


def _calls(
    row: Array, xs: Array, low: float, bad: float, good: float, high: float, alpha: float, beta: float
) -> int:
    test = BoundaryTest(
        bad=bad, good=good, low=low, high=high, alpha=alpha, beta=beta, cap=len(row), planning=xs
    )
    test.update(row)
    return test.n


def _tilted(xs: Array, mean: float, low: float, high: float) -> tuple[Array, Array]:
    """The law of ``xs`` moved to another mean; a touch of mass at both ends keeps every mean within reach."""
    support = np.concatenate((xs, [low, high]))
    mass = np.concatenate((np.ones(xs.size), [0.005 * xs.size] * 2))
    values, masses = summarise(support, mass)
    inside = min(max(mean, low + 1e-3 * (high - low)), high - 1e-3 * (high - low))
    weights, _ = tilt(values, masses / masses.sum(), np.array([[inside]]), np.zeros((1, 1)), 60)
    return values, weights[0]
