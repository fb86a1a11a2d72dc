"""What a model diff found, as data: ``shiftright diff --json`` prints it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from shiftright.core.verdict import Calls, CheckRow, Merge, Outcome
from shiftright.evals.compare.findings import Amount, Interval, Level, SliceRow

Kind = Literal["failure", "refusal", "check", "label", "shape", "language", "length"]


class Measure(msgspec.Struct, frozen=True):
    """One thing that both sides' answers have, over ``n`` inputs for which both can be told.

    ``unit`` is a share of answers, or a mean in [-1, 1] (``tone``). ``change`` is new minus old, with an anytime-valid
    95 % interval of its own. Of shares, where less is better, ``e_worse`` is the evidence against "no more than
    before"; ``worse`` selects among all such measures so that at most 5 % of those selected are expected to be wrong
    (e-BH). ``what`` says how it is told.
    """

    name: str
    unit: Literal["share", "tone"]
    n: int
    old: float
    new: float
    change: float
    interval: Interval
    what: str
    e_worse: float | None = None
    worse: bool = False


class Cluster(msgspec.Struct, frozen=True):
    """Inputs of a group that share words: ``name`` is those words, ``cases`` their ids."""

    name: str
    cases: tuple[str, ...]


class Example(msgspec.Struct, frozen=True):
    """One input and both answers. Failed calls have a failure and no output."""

    case_id: str
    input: Any
    old_output: Any = None
    new_output: Any = None
    old_failure: str | None = None
    new_failure: str | None = None
    expected: Any = None
    tags: tuple[str, ...] = ()


class Behaviour(msgspec.Struct, frozen=True):
    """Inputs whose answers changed in one way: ``before`` → ``after``.

    ``n`` of them (``share`` of all), ``back`` changed the other way round. ``evidence`` is an e-value against "as often
    there as back"; ``marked`` selects among all groups so that at most 5 % of those selected are expected to be wrong
    (e-BH). ``clusters`` say which inputs, ``examples`` are the most telling ones.
    """

    name: str
    kind: Kind
    before: str
    after: str
    n: int
    share: float
    back: int
    evidence: float
    marked: bool
    clusters: tuple[Cluster, ...]
    examples: tuple[Example, ...]
    cases: tuple[str, ...]
    check: str | None = None


class Saving(msgspec.Struct, frozen=True):
    """Money a month at the feature's own traffic; negative where the new side costs more.

    ``usd_a_month`` is None where a price or the traffic is not known, and ``sentence`` says which. The interval (95 %)
    is a normal approximation of the mean cost of a call; the traffic is taken as it was.
    """

    usd_a_month: float | None
    interval: Interval | None
    calls_a_month: float | None
    calls_from: str
    old_usd_per_call: float | None
    new_usd_per_call: float | None
    sentence: str


class Party(msgspec.Struct, frozen=True):
    """One side: what it was called on the command line, the model it names ("" where it is plain code), its digest."""

    name: str
    model: str
    digest: str


class Heard(msgspec.Struct, frozen=True):
    """What users had said of the replayed traces: ``traces`` with feedback, ``disliked`` of them below one half, and of
    those how many are now answered in another way."""

    traces: int
    liked: float
    disliked: int
    disliked_changed: int


class ModelDiff(msgspec.Struct, frozen=True, kw_only=True):
    """``old`` replaced by ``new`` on ``cases`` real inputs in ``units`` independent units (fewer, where inputs share a
    group).

    ``verdict`` is *pass* where every check is proven not to lose by its margin, *fail* where one is proven to; it is
    told from these inputs alone and is no decision of the ledger. ``checks`` are its rows. Everything else is
    advisory. ``unchanged`` counts inputs in no group of ``behaviours``.
    """

    feature: str
    old: Party = msgspec.field(name="from")
    new: Party = msgspec.field(name="to")
    inputs: str
    cases: int
    units: int
    verdict: Outcome
    merge: Merge
    reasons: tuple[str, ...]
    recommendation: tuple[str, ...]
    checks: tuple[CheckRow, ...]
    measures: tuple[Measure, ...] = ()
    amounts: tuple[Amount, ...] = ()
    levels: tuple[Level, ...] = ()
    slices: tuple[SliceRow, ...] = ()
    behaviours: tuple[Behaviour, ...] = ()
    unchanged: int = 0
    saving: Saving
    feedback: Heard | None = None
    notes: tuple[str, ...] = ()
    calls: Calls = Calls()
    cost_usd: float | None = 0.0
    seconds: float = 0.0
    run_id: str = ""
    command: str = ""
