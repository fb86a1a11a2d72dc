"""Checks shared by every test: numbers in, numbers or ValueError out."""

from __future__ import annotations

from math import isfinite

import numpy as np
from numpy.typing import ArrayLike

TOLERANCE = 1e-9


def increments(x: ArrayLike, low: float, high: float) -> list[float]:
    """A float or a 1-D array as a list of floats inside [low, high]; ValueError, before anything is used,
    if any is not.
    """
    if isinstance(x, float):
        if not low - TOLERANCE <= x <= high + TOLERANCE:
            raise ValueError(f"increment {x!r} is not a number in [{low:g}, {high:g}]")
        return [low if x < low else high if x > high else x]
    if isinstance(x, list):
        # what comes in one at a time or in small lots: numpy's fixed costs are those of a hundred numbers
        kept = [value for value in x if type(value) is float and low <= value <= high]
        if len(kept) == len(x):
            return kept
    xs = np.asarray(x, np.float64)
    if xs.ndim > 1:
        raise ValueError(
            f"increments are a number or a 1-D array in arrival order, not an array of shape {xs.shape}"
        )
    xs = xs.reshape(-1)
    inside = (xs >= low - TOLERANCE) & (xs <= high + TOLERANCE)
    if not inside.all():
        at = int(np.argmin(inside))
        raise ValueError(
            f"increment {float(xs[at])!r} at position {at} is not a number in [{low:g}, {high:g}]"
        )
    clipped: list[float] = np.minimum(np.maximum(xs, low), high).tolist()
    return clipped


def boundaries(low: float, bad: float, good: float, high: float) -> tuple[float, float, float, float]:
    numbers = float(low), float(bad), float(good), float(high)
    if not all(map(isfinite, numbers)) or not numbers[0] <= numbers[1] < numbers[2] <= numbers[3]:
        raise ValueError(
            f"need low <= bad < good <= high, got low={low}, bad={bad}, good={good}, high={high}"
        )
    return numbers


def probability(name: str, value: float) -> float:
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} must lie strictly between 0 and 1, got {value}")
    return float(value)


def size(name: str, value: int | None) -> int | None:
    if value is None:
        return None
    if value != int(value) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value}")
    return int(value)
