"""A Verdict: the two answers, and one row per clause that says why."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["pass", "fail", "inconclusive", "error"]
Merge = Literal["yes", "no"]
LiveWord = Literal["holds", "broken", "unclear"]


class CheckRow(msgspec.Struct, frozen=True):
    """One clause of one check.

    ``estimate`` and ``interval`` are of the tested quantity: the candidate's mean score; its difference from the
    baseline (``max_drop``, ``min_gain``); the share of calls within the limit (``p95_at_most``); the mean in USD
    (``mean_at_most``). ``ship_at``/``block_at`` are the evidence at which the clause ships or blocks, and
    ``e_ship``/``e_block`` the evidence reached (None for ``never_fails``, which is counted, not tested).
    ``target`` is the clause as the contract states it. ``n`` counts independent units (groups, where cases have them),
    ``cases`` the cases in them.
    """

    check: str
    clause: str
    target: str
    verdict: Outcome
    estimate: float | None
    interval: tuple[float, float] | None
    n: int
    ship_at: float | None
    block_at: float | None
    e_ship: float | None
    e_block: float | None
    reason: str
    level: float = 0.95
    cases: int | None = None


class Calls(msgspec.Struct, frozen=True):
    """Executions of the feature. ``fixed_sample`` is what the equal-power fixed-size test would have used and
    ``limit`` what no test with these error rates can beat on average (None where it cannot be said)."""

    made: int = 0
    baseline_made: int = 0
    cached: int = 0
    fixed_sample: int | None = None
    limit: float | None = None


class Verdict(msgspec.Struct, frozen=True):
    """May it merge (no only on proven harm), may it be released (only when proven)?

    ``verdict`` is the release answer. ``reasons`` are plain sentences, the binding one first.
    """

    verdict: Outcome
    merge: Merge
    checks: tuple[CheckRow, ...] = ()
    reasons: tuple[str, ...] = ()


class LiveRow(msgspec.Struct, frozen=True):
    """One clause of one check on live traffic of a window of time.

    ``estimate`` and ``interval`` are of the quantity that a CheckRow of this clause has; the interval is a confidence
    sequence at ``level``, so it may be looked at as often as one likes. ``n`` counts traces that were measured,
    ``failed`` those whose measurement failed: they count as the worst at the lower end and as the best at the upper.
    ``verdict`` is None for what live traffic cannot decide; ``reason`` says why.
    """

    check: str
    clause: str
    target: str
    verdict: LiveWord | None
    estimate: float | None
    interval: tuple[float, float] | None
    n: int
    reason: str
    failed: int = 0
    level: float = 0.95
