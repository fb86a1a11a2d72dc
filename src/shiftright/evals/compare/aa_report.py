"""What gates do when nothing changed, as data."""

from __future__ import annotations

import msgspec

from shiftright.decisions.words import percent
from shiftright.evals.report.visible import short


class GateFlips(msgspec.Struct, frozen=True):
    """One gate on unchanged runs. ``flips``: share of resampled pairs it turns away; ``observed``: of the recorded
    ordered pairs of runs, how many."""

    gate: str
    ours: bool
    flips: float
    observed: int


class Noise(msgspec.Struct, frozen=True):
    """Where a metric's variance comes from: one case that does not repeat itself (``within``) or cases that differ
    (``between``); ``icc`` is the latter's share, which repeats cannot reduce."""

    metric: str
    mean: float
    within: float
    between: float
    icc: float


class FlakyCase(msgspec.Struct, frozen=True):
    """A case that passed some of its runs and failed others."""

    case_id: str
    metric: str
    passes: int
    runs: int


class AaReport(msgspec.Struct, frozen=True):
    """What gates do when nothing changed. Encoded as JSON it is what ``shiftright aa --json`` prints.

    ``cases`` ran at least twice in ``runs``; ``pairs`` are the ordered pairs of runs, ``replications`` the resampled
    ones. The last of ``gates`` is this package's merge answer. ``margins`` maps a metric to its largest harmless drop.
    """

    subject: str
    runs: tuple[str, ...]
    cases: int
    metrics: tuple[str, ...]
    margins: dict[str, float]
    gates: tuple[GateFlips, ...]
    pairs: int
    replications: int
    seed: int
    noise: tuple[Noise, ...]
    flaky: tuple[FlakyCase, ...]
    sentence: str
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """The sentence, then a line per gate."""
        lines = [
            self.sentence,
            f"  {self.cases} cases, {self.replications} resampled pairs of unchanged runs",
        ]
        for row in self.gates:
            of = f", {row.observed} of {self.pairs} recorded pairs" if self.pairs else ""
            lines.append(f"  {percent(row.flips):>7}  {row.gate}{of}")
        return "\n".join(lines + [f"  note: {short(note, 200)}" for note in self.notes])
