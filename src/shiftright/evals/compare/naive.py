"""Common gates, for contrast: what they would say of two runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shiftright.decisions.words import points
from shiftright.evals.compare.findings import GateAnswer
from shiftright.evals.compare.metrics import Measured
from shiftright.stats import Gate, any_case_broke, any_drop, drop_beyond, watched_t_test

Array = NDArray[np.float64]


def gates(*margins: float) -> dict[str, Gate]:
    """By what it is red at."""
    found: dict[str, Gate] = {"the mean is lower at all": any_drop}
    for margin in sorted(set(margins)):
        found[f"the mean is lower by more than {points(margin)}"] = drop_beyond(margin)
    found["a case that passed now fails"] = any_case_broke
    found["p < .05 in a t test looked at every 10 cases"] = watched_t_test
    return found


def naive_answers(measured: Sequence[Measured], *, margin: float) -> tuple[GateAnswer, ...]:
    """Each gate on every metric; red in one is red. A missing value is 0, as such gates have it."""
    tables = [(metric.metric, *_arrays(metric)) for metric in measured]
    answers = []
    for name, gate in gates(margin).items():
        red = [(metric, new, old) for metric, new, old in tables if gate(new, old)]
        metric, new, old = (red or tables)[0]
        detail = f"{metric}: {old.mean():.1%} → {new.mean():.1%}"
        answers.append(GateAnswer(name, "no" if red else "yes", detail))
    return tuple(answers)


def _arrays(metric: Measured) -> tuple[Array, Array]:
    sides = (
        np.array([sum(value or 0.0 for value in values) / len(values) for values in column], np.float64)
        for column in (
            [case.new for case in metric.cases.values()],
            [case.old for case in metric.cases.values()],
        )
    )
    new, old = sides
    return new, old
