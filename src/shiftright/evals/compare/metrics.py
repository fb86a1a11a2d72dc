"""The metrics both files have, as scores in [0, 1] where more is better."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isfinite

import msgspec

from shiftright.datasets.result_files import ResultRow
from shiftright.decisions.units import Values
from shiftright.errors import UsageError
from shiftright.evals.compare.pairing import Pair, Rows, few

# A metric so named may count faults: believing that more is better would turn its verdict around.
_FAULTS = ("toxic", "bias", "hallucinat", "error", "loss", "perplexity", "violation", "harmful", "distance")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
Scales = Mapping[str, tuple[float, float]]


def failed(row: ResultRow) -> bool:
    """Did the thing measured fail? With an output or a score it did not: then a failure is one of the measurement."""
    return row.failure is not None and row.output is None and not row.scores


class CaseValues(msgspec.Struct, frozen=True):
    """One metric on one case, a value per repeat. A failed run of a side is 0; None is a value one file lacks.

    ``broken``: the tool recorded an error where a value is missing. Without one, nobody knows what the value would have
    been: it proves nothing, so a release takes it as the worst for the new file and a proof of loss as the best.
    """

    old: Values
    new: Values
    broken: bool = False

    @property
    def means(self) -> tuple[float, float] | None:
        """(old, new), means over repeats; None where a value is missing."""
        old, new = [v for v in self.old if v is not None], [v for v in self.new if v is not None]
        if len(old) < len(self.old) or len(new) < len(self.new):
            return None
        return sum(old) / len(old), sum(new) / len(new)

    @property
    def unknown(self) -> bool:
        return self.means is None and not self.broken

    @property
    def difference(self) -> float | None:
        """New minus old; the worst where the measurement broke, None where it is unknown."""
        if self.unknown:
            return None
        means = self.means
        return -1.0 if means is None else means[1] - means[0]

    @property
    def at_best(self) -> CaseValues:
        """Unknown values as they would speak most for the new file."""
        if not self.unknown:
            return self
        return CaseValues(_filled(self.old, 0.0), _filled(self.new, 1.0))


def _filled(values: Values, value: float) -> Values:
    return tuple(value if given is None else given for given in values)


class Measured(msgspec.Struct, frozen=True):
    """One metric on the cases it applies to, by case id."""

    metric: str
    cases: dict[str, CaseValues]


class Metrics(msgspec.Struct, frozen=True):
    measured: tuple[Measured, ...]
    notes: tuple[str, ...]


def measure(pairs: Sequence[Pair], *, metric: str | None, scales: Scales) -> Metrics:
    """The values of every metric that can be compared; what is left out is said in the notes.

    ``scales`` maps a metric to its (worst, best) value, which may run downwards. Without a scale a metric has to lie in
    [0, 1], and more is taken to be better.

    Raises:
        UsageError: when nothing is left to compare, a scale has no finite width or names no metric, or a value lies
            outside its scale.
    """
    _refuse_boundless(scales)
    old, new = (
        _metrics([row for pair in pairs for row in pair.old]),
        _metrics([row for pair in pairs for row in pair.new]),
    )
    old, new = (new if old is None else old) or [], (old if new is None else new) or []
    common = [name for name in old if name in new]
    _refuse_unknown([*scales, *([metric] if metric else [])], common, old, new)
    chosen = [metric] if metric else common
    notes = [f"{name}: only in the old file" for name in old if name not in new and not metric]
    notes += [f"{name}: only in the new file" for name in new if name not in old and not metric]
    measured = []
    for name in chosen:
        problem = None if name in scales else _undeclared(name, pairs)
        if problem:
            notes.append(f"{name} is left out: {problem}")
        else:
            cases, said = _values(name, pairs, scales.get(name, (0.0, 1.0)))
            measured.append(Measured(name, cases))
            notes += said
    if not measured:
        raise _nothing(chosen, notes, old, new)
    return Metrics(tuple(measured), tuple(notes))


def _metrics(rows: Sequence[ResultRow]) -> list[str] | None:
    """None where every row failed: such a file has no scores, and is 0 in every metric of the other one."""
    if all(failed(row) for row in rows):
        return None
    return list(dict.fromkeys(name for row in rows for name in row.scores))


def _refuse_unknown(
    named: Sequence[str], common: Sequence[str], old: Sequence[str], new: Sequence[str]
) -> None:
    for name in named:
        if name not in common:
            raise UsageError(
                f"no metric {name!r} is in both files",
                hint=f"The old file has: {', '.join(old) or 'none'}. The new file has: {', '.join(new) or 'none'}.",
            )


def _refuse_boundless(scales: Scales) -> None:
    for name, (worst, best) in scales.items():
        if not isfinite(best - worst) or worst == best:
            raise UsageError(
                f"the scale of {name} runs from {worst:g} to {best:g}: it needs two finite ends that differ",
                hint=f"--scale {name}=WORST:BEST, such as 1:5",
            )


def _undeclared(name: str, pairs: Sequence[Pair]) -> str | None:
    """Why a metric without a declared scale cannot be compared."""
    seen = [row.scores[name] for pair in pairs for row in pair.rows if name in row.scores]
    finite = [value for value in seen if isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    if low < 0.0 or high > 1.0:
        return f"its values run from {low:g} to {high:g}; say what they mean: --scale {name}=WORST:BEST"
    if any(word.lower().startswith(_FAULTS) for word in _WORDS.findall(name)):
        return f"is more of it better or worse? --scale {name}=0:1 (better) or --scale {name}=1:0 (worse)"
    return None


def _values(
    name: str, pairs: Sequence[Pair], scale: tuple[float, float]
) -> tuple[dict[str, CaseValues], list[str]]:
    """Where neither side has a value the metric does not apply to the case; where one has, the other's is missing."""
    cases: dict[str, CaseValues] = {}
    absent = 0
    broken: list[str] = []
    unknown: list[str] = []
    for pair in pairs:
        if not any(name in row.scores for row in pair.rows) and not all(failed(row) for row in pair.rows):
            absent += 1
            continue
        old, new = _side(name, pair.old, scale), _side(name, pair.new, scale)
        lacking = [row for row, value in zip(pair.rows, old + new, strict=True) if value is None]
        values = CaseValues(old, new, any(row.failure is not None for row in lacking))
        if values.means is None:
            (broken if values.broken else unknown).append(pair.case_id)
        cases[pair.case_id] = values
    notes = []
    if absent:
        notes.append(f"{name}: paired cases without a value in either file do not count: {absent}")
    if broken:
        notes.append(
            f"{name}: cases without a value after an error: {len(broken)} ({few(broken)}), the worst for the new file"
        )
    if unknown:
        notes.append(
            f"{name}: cases with a value in one file only: {len(unknown)} ({few(unknown)}), no proof of anything"
        )
    return cases, notes


def _side(name: str, rows: Rows, scale: tuple[float, float]) -> Values:
    return tuple(_scaled(name, row, scale) for row in rows)


def _scaled(name: str, row: ResultRow, scale: tuple[float, float]) -> float | None:
    if failed(row):
        return 0.0
    value = row.scores.get(name)
    if value is None or not isfinite(value):
        return None
    worst, best = scale
    scaled = (value - worst) / (best - worst)
    if not -1e-9 <= scaled <= 1.0 + 1e-9:
        raise UsageError(
            f"case {row.case_id or '(no id)'}: {name} is {value:g}, outside its scale {worst:g} to {best:g}",
            hint=f"Declare the whole scale: --scale {name}=WORST:BEST",
        )
    return min(max(scaled, 0.0), 1.0)


def _nothing(
    chosen: Sequence[str], notes: Sequence[str], old: Sequence[str], new: Sequence[str]
) -> UsageError:
    if chosen:
        return UsageError("no metric can be compared", hint="; ".join(notes))
    return UsageError(
        "the files share no metric",
        hint=f"The old file has: {', '.join(old) or 'none'}. The new file has: {', '.join(new) or 'none'}.",
    )
