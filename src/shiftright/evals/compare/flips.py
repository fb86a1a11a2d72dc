"""How often gates turn away a run in which nothing changed, from runs of one unchanged thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from shiftright.core.spec import Confidence
from shiftright.decisions.units import CaseScores
from shiftright.decisions.words import percent, points
from shiftright.evals.compare.aa_report import AaReport, FlakyCase, GateFlips, Noise
from shiftright.evals.compare.deciding import MetricTest, check_of
from shiftright.evals.compare.naive import gates
from shiftright.stats import variance_components

Array = NDArray[np.float64]
Places = NDArray[np.intp]
OURS = "this gate: a loss is proven"
PASSED = 0.5
MOST_RUNS = 12  # whose ordered pairs are all looked at
_STEPS = 400_000  # resampled cases in all: a few seconds


class Table(msgspec.Struct, frozen=True):
    """Runs of one unchanged thing.

    ``values`` maps a metric to scores in [0, 1], shape (cases, runs), NaN where a case did not run that often or has no
    such score. ``units`` names each case's independent unit, ``ran`` counts its runs (at least 2).
    """

    cases: tuple[str, ...]
    units: tuple[str, ...]
    runs: tuple[str, ...]
    values: dict[str, Array]
    ran: Places


class Gates:
    """The naive gates and ours, on the same two runs. Red in one metric is red."""

    def __init__(self, margins: Mapping[str, float], confidence: Confidence) -> None:
        self.naive = gates(0.01, 0.02, 0.03, *margins.values())
        self._checks = {metric: check_of(metric, margin) for metric, margin in margins.items()}
        self._confidence = confidence

    @property
    def names(self) -> list[str]:
        return [*self.naive, OURS]

    def red(self, sides: Mapping[str, tuple[Array, Array]], units: Mapping[str, Sequence[str]]) -> list[bool]:
        """``sides``: metric to (candidate, baseline) scores, shape (cases,); one answer per gate, ours last."""
        found = [any(gate(new, old) for new, old in sides.values()) for gate in self.naive.values()]
        return [*found, any(self._ours(metric, *both, units[metric]) for metric, both in sides.items())]

    def _ours(self, metric: str, new: Array, old: Array, units: Sequence[str]) -> bool:
        ends = [*units[1:], None]
        cases = [
            CaseScores(unit, {metric: (a,)}, {metric: (b,)}, unit, unit != end)
            for unit, end, a, b in zip(units, ends, new.tolist(), old.tolist(), strict=True)
        ]
        test = MetricTest(self._checks[metric], cases, clauses=len(self._checks), confidence=self._confidence)
        return test.harmful


def flips(
    table: Table,
    subject: str,
    *,
    margins: Mapping[str, float],
    confidence: Confidence,
    replications: int,
    seed: int = 0,
) -> AaReport:
    """Resampled pairs draw units with replacement, and of each case two different runs as candidate and baseline."""
    gates = Gates(margins, confidence)
    rng = np.random.default_rng(seed)
    members = _members(table.units)
    replications = max(50, min(replications, _STEPS // len(table.cases)))
    drawn = [gates.red(*_draw(table, members, rng)) for _ in range(replications)]
    recorded = [gates.red(*both) for both in _ordered_pairs(table, rng)]
    shares = np.mean(drawn, axis=0).tolist()
    counts = np.sum(recorded, axis=0, dtype=int).tolist() if recorded else [0] * len(shares)
    rows = tuple(
        GateFlips(name, name == OURS, share, count)
        for name, share, count in zip(gates.names, shares, counts, strict=True)
    )
    return AaReport(
        subject=subject,
        runs=table.runs,
        cases=len(table.cases),
        metrics=tuple(table.values),
        margins=dict(margins),
        gates=rows,
        pairs=len(recorded),
        replications=replications,
        seed=seed,
        noise=tuple(_noise(metric, values) for metric, values in table.values.items()),
        flaky=_flaky(table),
        sentence=_sentence(rows, max(margins.values())),
    )


def _members(units: Sequence[str]) -> list[Places]:
    found: dict[str, list[int]] = {}
    for place, unit in enumerate(units):
        found.setdefault(unit, []).append(place)
    return [np.array(places, np.intp) for places in found.values()]


Sides = tuple[dict[str, tuple[Array, Array]], dict[str, list[str]]]


def _draw(table: Table, members: Sequence[Places], rng: np.random.Generator) -> Sides:
    chosen = rng.integers(len(members), size=len(members))
    at = np.concatenate([members[i] for i in chosen])
    units = [str(draw) for draw, i in enumerate(chosen) for _ in range(members[i].size)]
    ran = table.ran[at]
    first = rng.integers(ran)
    second = (first + rng.integers(1, ran)) % ran
    return _sides(table, at, first, second, units)


def _ordered_pairs(table: Table, rng: np.random.Generator) -> list[Sides]:
    """Every ordered pair of runs, on the cases both have, units in random order."""
    members = _members(table.units)
    shuffled = np.concatenate([members[i] for i in rng.permutation(len(members))])
    count = min(len(table.runs), MOST_RUNS)
    pairs = []
    for new in range(count):
        for old in range(count):
            at = shuffled[table.ran[shuffled] > max(new, old)]
            if new != old and at.size:
                pairs.append(
                    _sides(
                        table, at, np.full(at.size, new), np.full(at.size, old), [table.units[i] for i in at]
                    )
                )
    return pairs


def _sides(table: Table, at: Places, first: Places, second: Places, units: Sequence[str]) -> Sides:
    sides, named = {}, {}
    for metric, values in table.values.items():
        new, old = values[at, first], values[at, second]
        there = ~(np.isnan(new) | np.isnan(old))
        if there.any():
            sides[metric] = new[there], old[there]
            named[metric] = [unit for unit, kept in zip(units, there.tolist(), strict=True) if kept]
    return sides, named


def _noise(metric: str, values: Array) -> Noise:
    parts = variance_components(values)
    return Noise(metric, float(np.nanmean(values)), parts.within, parts.between, parts.icc)


def _flaky(table: Table) -> tuple[FlakyCase, ...]:
    """Those nearest to half first."""
    found = []
    for metric, values in table.values.items():
        runs = (~np.isnan(values)).sum(axis=1).tolist()
        passes = (values >= PASSED).sum(axis=1).tolist()
        found += [
            FlakyCase(case_id, metric, passed, ran)
            for case_id, passed, ran in zip(table.cases, passes, runs, strict=True)
            if 0 < passed < ran
        ]
    return tuple(sorted(found, key=lambda case: (abs(case.passes / case.runs - 0.5), case.case_id)))


def _sentence(rows: Sequence[GateFlips], margin: float) -> str:
    by_name = {row.gate: row.flips for row in rows}
    anything, beyond = (
        next(iter(by_name.values())),
        by_name[f"the mean is lower by more than {points(margin)}"],
    )
    return (
        f"With nothing changed, a gate that is red at any drop flips {percent(anything)} of the time, "
        f"one that allows {points(margin)} {percent(beyond)}; this one {percent(by_name[OURS])}."
    )
