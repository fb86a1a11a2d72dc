"""Where the noise comes from: cases that differ, or one case that does not repeat itself."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, sqrt

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats._inputs import probability


@dataclass(frozen=True)
class VarianceComponents:
    """``within``: mean variance of repeats of a case (sigma^2); ``between``: variance of the cases' true
    means (tau^2).
    """

    within: float
    between: float

    @property
    def icc(self) -> float:
        """Share of the variance that repeats cannot reduce: tau^2 / (tau^2 + sigma^2)."""
        total = self.within + self.between
        return self.between / total if total > 0.0 else 1.0


def variance_components(scores: ArrayLike) -> VarianceComponents:
    """From repeated runs, shape (cases, repeats), NaN where a repeat was not run; cases need two repeats to
    count.

    One-way random effects by moments: tau^2 = Var(case means) - sigma^2 mean(1/K), never below 0.
    ValueError with fewer than two such cases.
    """
    table = np.asarray(scores, np.float64)
    if table.ndim != 2:
        raise ValueError(f"scores must have shape (cases, repeats), got {table.shape}")
    repeats = (~np.isnan(table)).sum(axis=1)
    table, repeats = table[repeats >= 2], repeats[repeats >= 2]
    if len(table) < 2:
        raise ValueError("need at least two cases that ran twice")
    within = float(np.nanvar(table, axis=1, ddof=1).mean())
    means = np.nanmean(table, axis=1)
    return VarianceComponents(
        within, max(0.0, float(means.var(ddof=1)) - within * float((1.0 / repeats).mean()))
    )


def optimal_repeats(components: VarianceComponents, *, case_cost: float, call_cost: float) -> int:
    """Repeats per new case that give most precision for the money: sqrt(case_cost/call_cost *
    sigma^2/tau^2), at least 1.

    Without a fixed cost per case it is 1: more cases beat more repeats. Source: Cochran 1977, section 10.6.
    """
    if case_cost < 0.0 or call_cost <= 0.0:
        raise ValueError("case_cost must be at least 0 and call_cost above 0")
    if components.between <= 0.0:
        raise ValueError("the cases do not differ (tau^2 = 0): repeats and cases are worth the same")
    return max(1, round(sqrt(case_cost / call_cost * components.within / components.between)))


def flaky_probability(
    passes: int,
    runs: int,
    *,
    inside: tuple[float, float] = (0.1, 0.9),
    prior: tuple[float, float] = (0.5, 0.5),
) -> float:
    """P(a < pass rate < b | passes of runs) for ``inside`` = (a, b), under a Beta prior (Jeffreys).

    A report, never a reason to drop a case silently.
    """
    if not 0 <= passes <= runs:
        raise ValueError(f"need 0 <= passes <= runs, got {passes} of {runs}")
    start, end = inside
    probability("inside", start)
    probability("inside", end)
    a, b = prior[0] + passes, prior[1] + runs - passes
    edges = np.linspace(start, end, 2001)
    rate = (edges[1:] + edges[:-1]) / 2.0
    log_density = (a - 1.0) * np.log(rate) + (b - 1.0) * np.log1p(-rate)
    scale = lgamma(a + b) - lgamma(a) - lgamma(b)
    top = float(log_density.max())
    mass = float(np.exp(log_density - top).sum()) * (end - start) / rate.size
    return min(1.0, mass * exp(top + scale))
