"""Latency and other quantiles: a service level as a yes/no stream, and the interval shown beside it."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, lgamma, log

import numpy as np
from numpy.typing import ArrayLike

from shiftright.stats._bets import Array
from shiftright.stats._inputs import probability

SLA_BAD, SLA_GOOD = 0.95, 0.97  # "p95 <= limit": at most 5 % above it; comfortable when at most 3 % are


def sla_increments(latencies: ArrayLike, limit: float) -> Array:
    """1 where a latency, shape (n,), is within ``limit``, else 0: "p95 <= limit" is then "mean >= 0.95".

    Feed them to ``BoundaryTest(bad=SLA_BAD, good=SLA_GOOD, low=0, high=1)``: exact, and no quantile is
    estimated. A request that never finished is inf. ValueError on NaN.
    """
    values = np.asarray(latencies, np.float64)
    if np.isnan(values).any():
        raise ValueError("a latency is NaN; a request that never finished counts as inf")
    within: Array = (values <= limit).astype(np.float64)
    return within


def relative_limit(baseline: ArrayLike, ratio: float, *, quantile: float = 0.95, error: float) -> float:
    """Absolute limit for "the quantile is below (1 + ratio) times the baseline's": (1 + ratio) times a
    lower bound.

    ``baseline``: shape (n,), a large log. The bound is the exact binomial order statistic, wrong with
    probability at most ``error``; spend a tenth of alpha on it and test the rest with 0.9 alpha
    (Bonferroni). ValueError if the log is too short for any bound.
    """
    logged = np.sort(np.asarray(baseline, np.float64))
    probability("quantile", quantile)
    ranks = np.flatnonzero(_binomial_cdf(logged.size, quantile) <= probability("error", error))
    if ranks.size == 0:
        raise ValueError(
            f"{logged.size} latencies are too few to bound the {quantile:.0%} quantile from below"
        )
    return (1.0 + ratio) * float(logged[ranks[-1]])


def _binomial_cdf(n: int, p: float) -> Array:
    """P(Bin(n, p) <= k) for k = 0 .. n - 1."""
    k = np.arange(n)
    steps = np.log((n - k[:-1]) / (k[:-1] + 1.0)) + log(p / (1.0 - p)) if n else np.zeros(0)
    logs = n * log(1.0 - p) + np.concatenate(([0.0], np.cumsum(steps)))[:n]
    cdf: Array = np.minimum(np.cumsum(np.exp(logs)), 1.0)
    return cdf


def quantile_interval(
    xs: ArrayLike, quantile: float = 0.95, level: float = 0.95, *, aim: int = 1000
) -> tuple[float, float]:
    """Anytime-valid confidence sequence for a quantile from the values so far, shape (n,).

    A count k of values at or below the quantile is rejected when the beta-binomial mixture of likelihood
    ratios against Bernoulli(quantile) reaches 1 / (1 - level); the order statistics at the outermost
    surviving counts bound the quantile, ties included; (-inf, inf) at n = 0. ``aim``: the n at which it is
    shortest, fixed before the data. Source: Howard & Ramdas 2022 (1906.09712), the count bound of section 4
    with a two-sided mixture.
    """
    values = np.sort(np.asarray(xs, np.float64))
    if np.isnan(values).any():
        raise ValueError("a value is NaN")
    probability("quantile", quantile)
    n = values.size
    if n == 0:
        return -inf, inf
    prior = max(aim / 8.0, 2.0)
    a, b = prior * quantile, prior * (1.0 - quantile)
    constant = lgamma(a) + lgamma(b) - lgamma(prior) + log(1.0 / probability("1 - level", 1.0 - level))

    def survives(k: int) -> bool:
        mixed = lgamma(a + k) + lgamma(b + n - k) - lgamma(prior + n)
        return mixed - k * log(quantile) - (n - k) * log(1.0 - quantile) < constant

    middle = min(max(round(n * quantile), 0), n)
    fewest = _edge(survives, middle, 0)
    most = _edge(survives, middle, n)
    return (-inf if fewest == 0 else float(values[fewest - 1])), (inf if most == n else float(values[most]))


def _edge(survives: Callable[[int], bool], inside: int, outside: int) -> int:
    """The last count that survives from ``inside`` towards ``outside``; the survivors are an interval."""
    if survives(outside):
        return outside
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if survives(middle):
            inside = middle
        else:
            outside = middle
    return inside
