"""Clauses on live traffic: the words, and that they are wrong as seldom as they say."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shiftright.core.spec import Check, Clause, ClauseKind
from shiftright.core.verdict import LiveRow
from shiftright.decisions.live import live_row


def row(
    kind: ClauseKind, bound: float, values: list[float | None], score: str = "x", each: float | None = None
) -> LiveRow:
    clause = Clause(kind, bound)
    more = () if each is None else (Clause("each_at_most", each),)
    return live_row(Check("c", score, {}, (clause, *more)), clause, values)


def test_a_share_holds_is_broken_or_unclear() -> None:
    assert row("at_least", 0.7, [1.0] * 90 + [0.0] * 10).verdict == "holds"
    assert row("at_least", 0.7, [1.0] * 40 + [0.0] * 60).verdict == "broken"
    unclear = row("at_least", 0.7, [1.0] * 7 + [0.0] * 3)
    assert unclear.verdict == "unclear"
    assert unclear.interval is not None
    assert unclear.interval[0] < 0.7 < unclear.interval[1]
    assert row("at_most", 0.3, [0.0] * 95 + [1.0] * 5).verdict == "holds"
    assert row("at_most", 0.02, [0.0] * 60 + [1.0] * 40).verdict == "broken"


def test_times_and_money_are_counted_with_failed_calls_as_the_worst() -> None:
    fast = row("p95_at_most", 2.0, [0.5] * 400, "latency")
    assert (fast.verdict, fast.estimate) == ("holds", 1.0)
    assert row("p95_at_most", 2.0, [0.5] * 80 + [inf] * 20, "latency").verdict == "broken"
    cheap = row("mean_at_most", 0.01, [0.002] * 300, "cost", each=0.05)
    assert cheap.verdict == "holds"
    assert cheap.estimate == pytest.approx(0.002, rel=0.01)
    assert row("mean_at_most", 0.01, [0.002] * 300, "cost").verdict == "unclear", "without a limit: never"
    assert row("mean_at_most", 0.01, [0.05] * 300, "cost").verdict == "broken"


def test_what_no_trace_may_break() -> None:
    assert row("never_fails", 0.0, [1.0, 1.0]).verdict == "holds"
    broken = row("never_fails", 0.0, [1.0, 0.0, None])
    assert (broken.verdict, broken.n, broken.failed) == ("broken", 2, 1)
    assert "1 of 2" in broken.reason
    assert row("each_at_most", 10.0, [1.0, inf], "latency").verdict == "broken"


def test_nothing_measured_and_what_needs_a_baseline_have_no_word() -> None:
    assert row("at_least", 0.7, []).verdict is None
    against = row("max_drop", 0.03, [1.0, 0.0])
    assert against.verdict is None
    assert "shiftright eval" in against.reason


def test_failed_measurements_widen_the_interval_on_both_sides() -> None:
    values: list[float | None] = [1.0] * 90 + [0.0] * 10
    sure, unsure = row("at_least", 0.7, values), row("at_least", 0.7, [*values, *[None] * 100])
    assert sure.interval is not None
    assert unsure.interval is not None
    assert unsure.interval[0] < sure.interval[0]
    assert unsure.interval[1] >= sure.interval[1]
    assert (sure.verdict, unsure.verdict, unsure.failed) == ("holds", "unclear", 100)
    assert "100 measurements failed" in unsure.reason


@settings(deadline=None, max_examples=40)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=60))
def test_the_order_of_traces_does_not_matter(values: list[float | None]) -> None:
    assert row("at_least", 0.5, values) == row("at_least", 0.5, list(reversed(values)))


def test_false_alarms_are_rarer_than_the_level_however_often_one_looks() -> None:
    random = np.random.default_rng(7)
    alarms = 0
    for _ in range(100):
        stream = (random.random(300) < 0.7).astype(float).tolist()
        alarms += any(row("at_least", 0.7, stream[:n]).verdict == "broken" for n in range(10, 301, 10))
    assert alarms <= 5 + 3 * 2.2  # 5 % of 100, three standard errors


def test_scores_next_to_nothing_are_numbers_like_others() -> None:
    assert row("at_most", 0.5, [5e-324, 1e-200, 0.0]).verdict == "unclear"
    assert row("at_least", 0.5, [5e-324] * 60).verdict == "broken"
