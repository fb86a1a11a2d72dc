"""Cases that share a document, user or conversation: one statistical unit per group."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shiftright.stats._bets import Array


@dataclass(frozen=True)
class GroupedIncrements:
    """One increment per group, in order of first appearance, and the boundaries to test them against."""

    increments: Array
    bad: float
    good: float
    low: float
    high: float


def group_increments(
    scores: ArrayLike,
    groups: ArrayLike,
    *,
    bad: float,
    good: float,
    low: float,
    high: float,
    largest: int | None = None,
    mean_size: float | None = None,
) -> GroupedIncrements:
    """Groups of cases as increments ``X_g = sum over the group of (score - bad) / largest``.

    ``scores`` and ``groups`` have shape (n,). Keeps the case-weighted mean and exact bounds under any
    dependence within a group; groups must come in random order. ``largest`` and ``mean_size`` (cases per
    group) describe the population of groups, so fix them beforehand; they default to what is given.
    ValueError if a group is larger than ``largest``.
    """
    values, sizes, totals = _by_group(scores, groups, shift=bad)
    most = int(sizes.max()) if largest is None else largest
    if int(sizes.max()) > most:
        raise ValueError(f"a group has {int(sizes.max())} cases, more than the declared largest {most}")
    if not ((values >= low) & (values <= high)).all():
        raise ValueError(f"a score lies outside [{low:g}, {high:g}]")
    size = float(sizes.mean()) if mean_size is None else mean_size
    return GroupedIncrements(totals / most, 0.0, (good - bad) * size / most, low - bad, high - bad)


def clustered_standard_error(scores: ArrayLike, groups: ArrayLike) -> float:
    """Standard error of the mean of ``scores``, robust to dependence within ``groups``; both of shape (n,).

    sqrt(sum over groups of (sum of residuals)^2) / n: Miller 2024 (2411.00640), section 2.2. For fixed-n
    reports only.
    """
    values = np.asarray(scores, np.float64)
    _, _, totals = _by_group(scores, groups, shift=float(values.mean()))
    return sqrt(float(totals @ totals)) / values.size


def _by_group(scores: ArrayLike, groups: ArrayLike, *, shift: float) -> tuple[Array, NDArray[np.intp], Array]:
    values, labels = np.asarray(scores, np.float64), np.asarray(groups)
    if values.ndim != 1 or values.size == 0 or labels.shape != values.shape or not np.isfinite(values).all():
        raise ValueError("scores and groups must be non-empty 1-D arrays of one length, scores finite")
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))[inverse]
    return values, np.bincount(order), np.bincount(order, values - shift).astype(np.float64)
