"""Which of several claims hold: selection from e-values, whatever their dependence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shiftright.stats._inputs import probability


def e_bh(e_values: ArrayLike, level: float) -> NDArray[np.bool_]:
    """Mask, shape (m,), of the claims selected with false discovery rate at most ``level``.

    The largest k with e_(k) >= m / (k level). Wang & Ramdas 2022 (2009.02824), definition 4.
    """
    values, order = _ranked(e_values, level)
    k = np.arange(1, values.size + 1)
    return _first(order, np.flatnonzero(values[order] >= values.size / (k * level)))


def e_holm(e_values: ArrayLike, level: float) -> NDArray[np.bool_]:
    """Mask, shape (m,), of the claims proven with probability at most ``level`` that any of them is wrong.

    Step down while e_(k) >= (m - k + 1) / level. Vovk & Wang 2021 (1912.06116), section 6.
    """
    values, order = _ranked(e_values, level)
    left = np.arange(values.size, 0, -1)
    passed = np.cumprod(values[order] >= left / level)
    return _first(order, np.flatnonzero(passed))


def _ranked(e_values: ArrayLike, level: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    values = np.asarray(e_values, np.float64)
    if values.ndim != 1 or not (values >= 0.0).all():
        raise ValueError("e-values must be a 1-D array of non-negative numbers")
    probability("level", level)
    return values, np.argsort(-values, kind="stable")


def _first(order: NDArray[np.intp], hits: NDArray[np.intp]) -> NDArray[np.bool_]:
    chosen = np.zeros(order.size, np.bool_)
    if hits.size:
        chosen[order[: hits[-1] + 1]] = True
    return chosen
