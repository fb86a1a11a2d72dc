"""Rows beside the verdict that decide nothing: levels, latency and cost, slices, and the cases that changed sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from shiftright.datasets.result_files import ResultRow
from shiftright.evals.compare.findings import (
    Amount,
    AmountName,
    AmountUnit,
    CaseChange,
    Interval,
    Level,
    SliceRow,
)
from shiftright.evals.compare.metrics import CaseValues, Measured
from shiftright.evals.compare.pairing import Pair, Rows
from shiftright.evals.compare.unit_means import UnitMeans
from shiftright.stats import e_bh

SMALLEST_SLICE = 5
FALSE_DISCOVERIES = 0.05
PASSED = 0.5
_Z = NormalDist().inv_cdf(0.975)


def levels(measured: Sequence[Measured]) -> tuple[Level, ...]:
    found = []
    for metric in measured:
        means = [case.means for case in metric.cases.values() if case.means is not None]
        if means:
            old, new = np.mean(means, axis=0).tolist()
            found.append(Level(metric.metric, old, new, len(means)))
    return tuple(found)


def amounts(pairs: Sequence[Pair]) -> tuple[Amount, ...]:
    """Latency and cost, where at least two cases have them on both sides."""
    found = (
        amount(pairs, "latency", "s", lambda row: row.latency_s),
        amount(pairs, "cost", "USD", lambda row: row.cost_usd),
    )
    return tuple(item for item in found if item is not None)


def amount(
    pairs: Sequence[Pair],
    name: AmountName,
    unit: AmountUnit,
    read: Callable[[ResultRow], float | None],
) -> Amount | None:
    """One amount of every pair that has it on both sides; None of fewer than two."""
    known = [(pair, _mean(pair.old, read), _mean(pair.new, read)) for pair in pairs]
    both = [(pair, old, new) for pair, old, new in known if old is not None and new is not None]
    if len(both) < 2:
        return None
    units = [unit_of(pair) for pair, _, _ in both]
    olds, news = np.array([old for _, old, _ in both]), np.array([new for _, _, new in both])
    old, new = float(olds.mean()), float(news.mean())
    change = UnitMeans.of((news - olds).tolist(), units)
    ratio, spread = None, None
    if old > 0.0:
        ratio = new / old
        # delta method: the ratio's error is the mean of new - ratio * old, over old's mean
        spread = _around(ratio, UnitMeans.of(((news - ratio * olds) / old).tolist(), units).standard_error)
    return Amount(
        name, unit, len(both), old, new, new - old, _around(new - old, change.standard_error), ratio, spread
    )


def _mean(rows: Rows, read: Callable[[ResultRow], float | None]) -> float | None:
    values = [value for row in rows if (value := read(row)) is not None]
    return sum(values) / len(values) if values else None


def _around(value: float, error: float) -> Interval:
    return value - _Z * error, value + _Z * error


def unit_of(pair: Pair) -> tuple[str, str]:
    """The independent unit that a pair belongs to."""
    return ("group", pair.group) if pair.group is not None else ("case", pair.case_id)


def slices(pairs: Sequence[Pair], measured: Sequence[Measured]) -> tuple[SliceRow, ...]:
    """Every tag that some but not all cases have, by metric, worst first. Cases without a known change and slices
    below five units are left out."""
    tagged: dict[str, list[Pair]] = {}
    for pair in pairs:
        for tag in pair.tags:
            tagged.setdefault(tag, []).append(pair)
    found = []
    for metric in measured:
        known = {
            case_id: change
            for case_id, case in metric.cases.items()
            if (change := case.difference) is not None
        }
        for tag, members in tagged.items():
            inside = [pair for pair in members if pair.case_id in known]
            means = UnitMeans.of([known[pair.case_id] for pair in inside], [unit_of(pair) for pair in inside])
            if len(means) >= SMALLEST_SLICE and len(inside) < len(known):
                found.append((tag, metric.metric, len(inside), means))
    evidence = [means.evidence_of_loss() for *_, means in found]
    worse = e_bh(evidence, FALSE_DISCOVERIES).tolist() if found else []
    rows = [
        SliceRow(tag, metric, n, means.mean, means.interval(), e, bad)
        for (tag, metric, n, means), e, bad in zip(found, evidence, worse, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: (not row.worse, row.change, row.tag)))


def changes(
    pairs: Sequence[Pair], measured: Sequence[Measured]
) -> tuple[tuple[CaseChange, ...], tuple[CaseChange, ...]]:
    """(broke, fixed): cases that passed a metric in the old file only, and in the new file only; largest change first.

    A case passes at half of a metric's scale.
    """
    broke: list[CaseChange] = []
    fixed: list[CaseChange] = []
    for pair in pairs:
        seen = [(m.metric, m.cases[pair.case_id]) for m in measured if pair.case_id in m.cases]
        for changed, old_passed in ((broke, True), (fixed, False)):
            names = [(name, case) for name, case in seen if _changed(case, old_passed)]
            if names:
                changed.append(_change(pair, names, old_passed))
    return tuple(sorted(broke, key=_size)), tuple(sorted(fixed, key=_size))


def _size(change: CaseChange) -> float:
    return -abs(change.new_score - change.old_score)


def _changed(case: CaseValues, old_passed: bool) -> bool:
    means = case.means
    return means is not None and (means[0] >= PASSED) is old_passed and (means[1] >= PASSED) is not old_passed


def _change(pair: Pair, names: Sequence[tuple[str, CaseValues]], old_passed: bool) -> CaseChange:
    case = names[0][1]
    means = case.means
    assert means is not None
    old, new = _shown(pair.old, case.old, old_passed), _shown(pair.new, case.new, not old_passed)
    return CaseChange(
        case_id=pair.case_id,
        metrics=tuple(name for name, _ in names),
        old_score=means[0],
        new_score=means[1],
        input=pair.first("input"),
        expected=pair.first("expected"),
        old_output=old.output,
        new_output=new.output,
        old_failure=old.failure,
        new_failure=new.failure,
        tags=pair.tags,
    )


def _shown(rows: Rows, values: Sequence[float | None], passed: bool) -> ResultRow:
    """The repeat that shows the side's majority."""
    for row, value in zip(rows, values, strict=True):
        if value is not None and (value >= PASSED) is passed:
            return row
    return rows[0]
