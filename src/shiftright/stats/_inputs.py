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


def arms(canary: ArrayLike, probability: ArrayLike, size: int) -> tuple[list[bool], list[float]]:
    """The arm of each of ``size`` units and its P(canary); one probability stands for all. ValueError, before anything
    is used, on other lengths, an arm that is neither true nor false, or a probability outside (0, 1).
    """
    if size == 1 and isinstance(canary, bool) and isinstance(probability, float) and 0.0 < probability < 1.0:
        return [canary], [probability]
    taken, given = np.atleast_1d(np.asarray(canary)), np.asarray(probability, np.float64)
    if taken.shape != (size,) or given.shape not in ((), (1,), (size,)):
        raise ValueError(
            f"need an arm and a probability for each of {size} outcomes, got shapes {taken.shape} and {given.shape}"
        )
    if taken.dtype != np.bool_ and not np.isin(taken, (0, 1)).all():
        raise ValueError("canary must be true or false")
    if not ((given > 0.0) & (given < 1.0)).all():
        raise ValueError("probability must lie strictly between 0 and 1 for every unit")
    chosen: list[bool] = taken.astype(np.bool_).tolist()
    chances: list[float] = np.broadcast_to(given, (size,)).tolist()
    return chosen, chances


def length(x: ArrayLike) -> int:
    """Of a number 1, of a 1-D array its length; ValueError on more dimensions."""
    shape = np.shape(x)
    if len(shape) > 1:
        raise ValueError(f"need a value or a 1-D array in arrival order, not an array of shape {shape}")
    return shape[0] if shape else 1
