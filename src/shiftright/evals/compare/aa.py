"""``shiftright aa``: unchanged runs against themselves, from files or from a feature's stored answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from shiftright.core.counting import counted
from shiftright.core.spec import Confidence
from shiftright.errors import UsageError
from shiftright.evals.compare.aa_report import AaReport
from shiftright.evals.compare.flips import Table, flips
from shiftright.evals.compare.grouping import joined_groups
from shiftright.evals.compare.metrics import Measured, Scales, measure
from shiftright.evals.compare.pairing import Pair, Rows, pair
from shiftright.evals.compare.sources import Recorded, Source, open_source

REPLICATIONS = 400
FEW = 20
MORE_RUNS = (
    "Run it again: shiftright aa FIRST SECOND; or with repeats: promptfoo --repeat 3, inspect --epochs 3."
)


def aa(
    *runs: Source,
    margin: float = 0.03,
    metric: str | None = None,
    scales: Scales | None = None,
    confidence: Confidence | None = None,
    replications: int = REPLICATIONS,
) -> AaReport:
    """How often do gates flip when nothing changed? ``runs`` are recorded runs of one unchanged thing.

    Several files, or one with repeats: noise cannot be seen in a single run. Arguments as for ``compare``;
    ``replications`` pairs are resampled from the runs (fewer on large files).

    Raises:
        DatasetError: for a file that cannot be read.
        UsageError: when nothing ran twice, or as ``compare`` does.
    """
    opened = [open_source(run, f"run {number}", metric=metric) for number, run in enumerate(runs, 1)]
    if not opened:
        raise UsageError("which runs?", hint=MORE_RUNS)
    subject = ", ".join(run.name for run in opened)
    return report(
        opened,
        subject,
        margin=margin,
        metric=metric,
        scales=scales or {},
        confidence=confidence or Confidence(),
        replications=replications,
    )


def report(
    opened: Sequence[Recorded],
    subject: str,
    *,
    margin: float,
    metric: str | None = None,
    scales: Scales,
    confidence: Confidence,
    replications: int,
    margins: Mapping[str, float] | None = None,
    hint: str = MORE_RUNS,
) -> AaReport:
    """``margins`` are metrics' own; the others have ``margin``. ``hint`` says how to make more runs."""
    started = time.monotonic()
    if not 0.0 < margin < 1.0:
        raise UsageError(f"the margin must lie between 0 and 1, got {margin:g}", hint="3 points are 0.03.")
    cases, notes = _cases(opened)
    again = [case for case in cases if len(case.rows) > 1]
    if len(again) < 2:
        raise UsageError("nothing ran twice: a single run does not show how much it varies", hint=hint)
    if len(again) < len(cases):
        notes.append(f"{len(cases) - len(again)} of {counted(len(cases))} ran only once: left out")
    if len(again) < FEW:
        notes.append(f"{len(again)} cases are few: the shares are rough")
    found = measure(
        [Pair(case.case_id, case.rows, case.rows) for case in again], metric=metric, scales=scales
    )
    table = _table(again, found.measured, [run.name for run in opened])
    made = flips(
        table,
        subject,
        margins={name: (margins or {}).get(name, margin) for name in table.values},
        confidence=confidence,
        replications=replications,
    )
    said = dict.fromkeys((*(warning for run in opened for warning in run.warnings), *notes, *found.notes))
    return msgspec.structs.replace(made, notes=tuple(said), seconds=time.monotonic() - started)


class RunCase(msgspec.Struct, frozen=True):
    """One case: its rows by file, in the order of their repeats."""

    case_id: str
    files: tuple[Rows, ...]

    @property
    def rows(self) -> Rows:
        return tuple(row for file in self.files for row in file)


def _cases(opened: Sequence[Recorded]) -> tuple[list[RunCase], list[str]]:
    """The cases every file has, matched to the first file's."""
    first = opened[0]
    pairings = [pair(first.rows, other.rows) for other in opened[1:]] or [pair(first.rows, first.rows)]
    matched = [{found.case_id: found for found in pairing.pairs} for pairing in pairings]
    notes = [note for pairing in pairings for note in pairing.notes]
    alone = {case_id for pairing in pairings for case_id in (*pairing.only_old, *pairing.only_new)}
    if alone:
        notes.append(f"{counted(len(alone))} not in every file: left out")
    cases = []
    for case_id, found in matched[0].items():
        if all(case_id in other for other in matched):
            others = [other[case_id].new for other in matched] if len(opened) > 1 else []
            cases.append(RunCase(case_id, tuple(_in_order(rows) for rows in (found.old, *others))))
    return cases, notes


def _in_order(rows: Rows) -> Rows:
    return tuple(sorted(rows, key=lambda row: row.repeat))


def _table(cases: Sequence[RunCase], measured: Sequence[Measured], names: Sequence[str]) -> Table:
    """A value that an error kept from being measured is 0, as gates have it; one that is missing is no run."""
    ran = np.array([len(case.rows) for case in cases], np.intp)
    values = {}
    for metric in measured:
        scores = np.full((len(cases), int(ran.max())), np.nan)
        for place, case in enumerate(cases):
            if case.case_id in metric.cases:
                found = metric.cases[case.case_id]
                lost = 0.0 if found.broken else np.nan
                scores[place, : ran[place]] = [lost if value is None else value for value in found.old]
        values[metric.metric] = scores
    groups, _ = joined_groups([case.files for case in cases])
    return Table(
        tuple(case.case_id for case in cases),
        tuple(
            f"c:{case.case_id}" if group is None else f"g:{group}"
            for group, case in zip(groups, cases, strict=True)
        ),
        _run_names(cases, names),
        values,
        ran,
    )


def _run_names(cases: Sequence[RunCase], names: Sequence[str]) -> tuple[str, ...]:
    found = []
    for place, name in enumerate(names):
        repeats = max(len(case.files[place]) for case in cases)
        found += [name] if repeats == 1 else [f"{name} #{number}" for number in range(1, repeats + 1)]
    return tuple(found)
