"""What a comparison found, as data."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from shiftright.core.verdict import Calls, CheckRow, Merge, Outcome

Interval = tuple[float, float]
AmountName = Literal["latency", "cost", "length"]
AmountUnit = Literal["s", "USD", "characters"]


class Level(msgspec.Struct, frozen=True):
    """Both sides' mean of one metric over its ``n`` paired cases, in [0, 1]; failed cases count 0."""

    metric: str
    old: float
    new: float
    n: int


class Amount(msgspec.Struct, frozen=True):
    """Latency, cost or length of the cases for which both files have it. Advisory: it decides nothing.

    ``old`` and ``new`` are means per case in ``unit``. The intervals (95 %, of the mean paired change and of the ratio
    of means) are normal approximations: amounts have no upper limit, so nothing exact can be said of their mean.
    """

    name: AmountName
    unit: AmountUnit
    n: int
    old: float
    new: float
    change: float
    interval: Interval
    ratio: float | None
    ratio_interval: Interval | None


class SliceRow(msgspec.Struct, frozen=True):
    """The cases that share a tag. Advisory: it decides nothing.

    ``change`` is the mean paired difference with its own 95 % interval; ``n`` counts cases. ``e_worse`` is the evidence
    against "no loss"; ``worse`` selects among all slices so that at most 5 % of those selected are expected to be wrong
    (e-BH).
    """

    tag: str
    metric: str
    n: int
    change: float
    interval: Interval
    e_worse: float
    worse: bool


class CaseChange(msgspec.Struct, frozen=True):
    """A case that passed in one file only. Scores are those of the first of ``metrics``, means over repeats; outputs
    are of one repeat, such that it shows the change."""

    case_id: str
    metrics: tuple[str, ...]
    old_score: float
    new_score: float
    input: Any = None
    expected: Any = None
    old_output: Any = None
    new_output: Any = None
    old_failure: str | None = None
    new_failure: str | None = None
    tags: tuple[str, ...] = ()


class GateAnswer(msgspec.Struct, frozen=True):
    """What a common gate would have said of the same two files."""

    gate: str
    merge: Merge
    detail: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The two answers on two recorded runs, and what they rest on.

    ``baseline`` is the old run's name, ``variant`` the new one's. ``pairs`` cases were compared, found ``paired_by``
    their id or their input; they make ``units`` independent units (fewer, where cases share a group). ``only_old`` and
    ``only_new`` are ids of cases that the other file lacks. ``margin`` is the largest harmless drop. ``seed`` orders
    the pairs in the test. ``levels``, ``amounts`` and ``slices`` are advisory, ``naive`` is shown for contrast.
    """

    feature: None = None
    variant: str
    baseline: str
    verdict: Outcome
    merge: Merge
    reasons: tuple[str, ...]
    checks: tuple[CheckRow, ...]
    calls: Calls
    cost_usd: float = 0.0
    seconds: float
    run_id: None = None
    seed: int
    margin: float
    pairs: int
    units: int
    paired_by: Literal["id", "input"]
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    amounts: tuple[Amount, ...] = ()
    slices: tuple[SliceRow, ...] = ()
    broke: tuple[CaseChange, ...] = ()
    fixed: tuple[CaseChange, ...] = ()
    naive: tuple[GateAnswer, ...] = ()
    notes: tuple[str, ...] = ()
