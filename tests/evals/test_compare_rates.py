"""Simulated error rates of the merge answer and of slices, through ``compare`` itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from recorded_rows import run

from shiftright.evals.compare import compare
from shiftright.evals.compare.unit_means import UnitMeans

REPLICATIONS = 400


def mixture(rng: np.random.Generator, cases: int, drop: float) -> tuple[list[float], list[float]]:
    """Two runs over cases of which a fifth is flaky; the second drops by ``drop`` on average."""
    rates = rng.choice([0.97, 0.5, 0.03], size=cases, p=[0.65, 0.22, 0.13])
    old = rng.random(cases) < rates
    new = (rng.random(cases) < rates) & (rng.random(cases) >= drop / 0.75)
    return old.astype(float).tolist(), new.astype(float).tolist()


def red(rates: Sequence[bool]) -> float:
    return float(np.mean(rates))


def test_an_unchanged_model_is_turned_away_at_most_one_time_in_twenty() -> None:
    rng = np.random.default_rng(0)
    merges = []
    for _ in range(REPLICATIONS):
        old, new = mixture(rng, 100, 0.0)
        merges.append(compare(run(old), run(new)).merge == "no")
    assert red(merges) <= 0.05


def test_a_drop_of_the_margin_is_shipped_at_most_one_time_in_twenty_and_a_large_one_is_seen() -> None:
    rng = np.random.default_rng(9)
    wrong, seen = [], []
    for _ in range(100):
        old, new = mixture(rng, 200, 0.10)
        wrong.append(compare(run(old), run(new), margin=0.10).verdict == "pass")
        old, new = mixture(rng, 200, 0.20)
        seen.append(compare(run(old), run(new)).merge == "no")
    assert red(wrong) <= 0.05 + 2 * (0.05 * 0.95 / 100) ** 0.5
    assert red(seen) >= 0.75


def test_empty_cells_leave_the_rates_as_they_are_whichever_values_they_hide() -> None:
    """The worst there is: a run that loses failures and so would be released, one that loses successes."""
    rng = np.random.default_rng(11)

    def emptied(values: Sequence[float], value: float, share: float) -> list[float]:
        return [np.nan if given == value and rng.random() < share else given for given in values]

    shipped, turned_away = [], []
    for _ in range(100):
        old, new = mixture(rng, 200, 0.10)
        shipped.append(compare(run(old), run(emptied(new, 0.0, 0.5)), margin=0.10).verdict == "pass")
        old, new = mixture(rng, 200, 0.0)
        turned_away.append(compare(run(old), run(emptied(new, 1.0, 0.3))).merge == "no")
    assert red(shipped) <= 0.05
    assert red(turned_away) <= 0.05


def test_evidence_of_loss_is_an_e_value() -> None:
    """Its mean is at most 1 without a loss, so it exceeds 20 at most one time in twenty."""
    rng = np.random.default_rng(4)
    values = [
        UnitMeans.of(
            rng.choice([-1.0, 0.0, 1.0], 60, p=[0.1, 0.8, 0.1]).tolist(), range(60)
        ).evidence_of_loss()
        for _ in range(2000)
    ]
    assert float(np.mean(values)) <= 1.2
    assert float(np.mean(np.array(values) >= 20)) <= 0.05
