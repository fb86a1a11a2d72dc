"""``compare``: the two answers on recorded runs, and what stands beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_rows import coin, run

from shiftright.core.spec import Confidence
from shiftright.datasets.result_files import ResultRow
from shiftright.errors import DatasetError, UsageError
from shiftright.evals.compare import aa, compare
from shiftright.evals.compare.grouping import joined_groups

EXAMPLES = Path(__file__).parents[2] / "src" / "shiftright" / "examples" / "compare"
DATA = Path(__file__).parents[1] / "data" / "result_files"
RIGHT = [1.0, 1.0, 1.0, 0.0]


def test_a_clear_loss_is_no_merge() -> None:
    found = compare(run([1.0] * 200), run([0.0, 1.0] * 100))
    assert (found.verdict, found.merge) == ("fail", "no")
    (row,) = found.checks
    assert (row.check, row.clause, row.verdict) == ("score", "max_drop", "fail")
    assert row.estimate == pytest.approx(-0.5)
    assert row.interval is not None
    assert row.interval[0] < -0.5 < row.interval[1] < 0
    assert len(found.broke) == 100
    assert found.fixed == ()
    assert found.reasons[0].startswith("score: ")


def test_identical_files_pass_only_when_there_are_enough_cases() -> None:
    few, many = run(RIGHT * 15), run(RIGHT * 150)
    assert (compare(few, few).verdict, compare(few, few).merge) == ("inconclusive", "yes")
    assert "3 points need about" in compare(few, few).checks[0].reason
    assert (compare(many, many).verdict, compare(many, many).merge) == ("pass", "yes")


def test_twenty_pairs_are_answered_inconclusive() -> None:
    found = compare(run(RIGHT * 5), run([*RIGHT * 4, 1, 1, 0, 1]))
    assert (found.verdict, found.merge, found.pairs) == ("inconclusive", "yes", 20)
    assert found.checks[0].reason.startswith("your 20 cases resolve ")


def test_rows_show_all_pairs_even_when_the_test_ended_before() -> None:
    found = compare(run([1.0] * 1000), run([1.0] * 1000))
    assert found.checks[0].n == 1000
    assert found.checks[0].interval is not None
    assert found.checks[0].interval[0] >= -0.03
    assert found.verdict == "pass"


def test_the_order_of_rows_in_the_files_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    old, new = run(coin(rng, 300, 0.8)), run(coin(rng, 300, 0.75))
    shuffled = [new[i] for i in rng.permutation(300)]
    plain, mixed = compare(old, new), compare(old[::-1], shuffled)
    assert plain.checks == mixed.checks
    assert {c.case_id for c in plain.broke} == {c.case_id for c in mixed.broke}


def test_a_new_file_that_lost_cases_is_not_released() -> None:
    whole = run([1.0] * 300 + [0.0] * 63)
    lost = compare(whole, whole[:300])
    missing = "63 cases of the old file are missing in the new one: a run that drops its failures would look like this"
    assert (lost.verdict, lost.merge) == ("inconclusive", "yes")
    assert lost.reasons == (missing,)
    assert "63 cases only in the old file, left out: case-300, case-301, case-302, …" in lost.notes
    assert "63 cases only in the old file" in repr(lost)
    worse = compare(whole, run([0.0] * 300))
    assert (worse.verdict, worse.reasons[-1]) == ("fail", missing)
    more = compare(whole[:300], whole)
    assert more.verdict == "pass"
    assert any(note.startswith("63 cases only in the new file") for note in more.notes)


def test_a_wider_margin_is_easier() -> None:
    rng = np.random.default_rng(2)
    old, new = run(coin(rng, 300, 0.9)), run(coin(rng, 300, 0.9))
    assert compare(old, new, margin=0.03).verdict == "inconclusive"
    assert compare(old, new, margin=0.20).verdict == "pass"
    for margin in (0.0, 3.0, -0.1):
        with pytest.raises(UsageError, match="margin"):
            compare(old, new, margin=margin)


def test_several_metrics_share_the_error_of_blocking() -> None:
    both = [msgspec.structs.replace(row, scores={"a": 1.0, "b": 1.0}) for row in run([1.0] * 10)]
    found = compare(both, both, confidence=Confidence(wrong_block=0.2))
    assert [row.check for row in found.checks] == ["a", "b"]
    assert [row.block_at for row in found.checks] == pytest.approx([10.0, 10.0])
    assert [row.ship_at for row in found.checks] == pytest.approx([20.0, 20.0])
    assert [row.check for row in compare(both, both, metric="b").checks] == ["b"]


def test_one_metric_that_falls_is_enough() -> None:
    old = [msgspec.structs.replace(row, scores={"a": 1.0, "b": 1.0}) for row in run([1.0] * 300)]
    new = [msgspec.structs.replace(row, scores={"a": 1.0, "b": float(i % 2)}) for i, row in enumerate(old)]
    found = compare(old, new)
    assert {row.check: row.verdict for row in found.checks} == {"a": "pass", "b": "fail"}
    assert (found.verdict, found.merge) == ("fail", "no")
    assert found.broke[0].metrics == ("b",)


def test_failures_are_the_worst_of_their_own_side() -> None:
    good = run([1.0] * 100)
    down = [ResultRow(row.case_id, input=row.input, failure="timeout") for row in good]
    fallen, risen = compare(good, down), compare(down, good)
    assert fallen.checks[0].estimate == -1.0
    assert (fallen.verdict, fallen.merge) == ("fail", "no")
    assert "100 cases failed in the new file: scored 0 there" in fallen.notes
    assert fallen.broke[0].new_failure == "timeout"
    assert risen.checks[0].estimate == 1.0
    assert (risen.verdict, risen.merge) == ("pass", "yes")


def test_a_score_lost_to_an_error_is_the_worst_for_the_new_file_whichever_lacks_it() -> None:
    full = run([0.0] * 50)
    lost = msgspec.structs.replace
    holes = [lost(row, scores={}, failure="judge: 503") if i < 5 else row for i, row in enumerate(full)]
    for old, new in ((full, holes), (holes, full)):
        found = compare(old, new)
        assert found.checks[0].estimate == pytest.approx(-5 / 50)
        assert any("without a value after an error: 5 (case-0, case-1, case-2, …)" in n for n in found.notes)


def test_a_missing_score_proves_nothing_whichever_file_lacks_it() -> None:
    """Neither a release, which a run that drops its bad scores would get, nor a loss, which an empty cell is not."""
    full = run([1.0] * 600)
    holes = [msgspec.structs.replace(row, scores={}) if i < 300 else row for i, row in enumerate(full)]
    for old, new in ((full, holes), (holes, full)):
        found = compare(old, new)
        (row,) = found.checks
        assert (found.verdict, found.merge, row.estimate) == ("inconclusive", "yes", 0.0)
        assert row.reason == "it depends on 300 cases without a value in one of the files"
        assert row.interval is not None
        assert row.interval[0] < -0.5
        note = "score: cases with a value in one file only: 300 (case-0, case-1, case-2, …), no proof of anything"
        assert note in found.notes
    worse = [
        msgspec.structs.replace(row, scores={"score": 0.0} if i % 10 else {}) for i, row in enumerate(full)
    ]
    assert (compare(full, worse).verdict, compare(full, worse).merge) == ("fail", "no")
    few = [msgspec.structs.replace(row, scores={}) if i < 3 else row for i, row in enumerate(full)]
    assert compare(full, few).verdict == "pass"


@pytest.mark.parametrize(
    "scale", [(0, np.inf), (-np.inf, 1), (np.nan, 1), (1, np.nan), (-1e308, 1e308), (1, 1)]
)
def test_a_scale_without_a_finite_width_is_refused(scale: tuple[float, float]) -> None:
    stars = run([5.0, 4.0, 1.0, 3.0] * 30, metric="stars")
    for compared in (compare, aa):
        with pytest.raises(UsageError, match="two finite ends that differ"):
            compared(stars, stars, scales={"stars": scale})


def test_a_metric_that_neither_file_has_for_a_case_does_not_concern_it() -> None:
    part = [
        msgspec.structs.replace(row, scores={"all": 1.0} | ({"some": 1.0} if i < 40 else {}))
        for i, row in enumerate(run([1.0] * 100))
    ]
    found = compare(part, part)
    assert {row.check: row.n for row in found.checks} == {"all": 100, "some": 40}
    assert "some: paired cases without a value in either file do not count: 60" in found.notes


def test_repeats_are_averaged_within_their_case() -> None:
    old = run([1.0] * 100)
    new = [
        msgspec.structs.replace(row, repeat=k, scores={"score": float(k != 0)})
        for row in old
        for k in range(4)
    ]
    found = compare(old, new)
    assert found.checks[0].estimate == pytest.approx(-0.25)
    assert (found.pairs, found.checks[0].n) == (100, 100)
    assert found.broke == ()


def test_cases_of_a_group_are_one_unit() -> None:
    """Forty copies of five different cases say no more than five cases do."""
    old = [msgspec.structs.replace(r, group=f"g{i % 5}") for i, r in enumerate(run([1.0] * 200))]
    new = [msgspec.structs.replace(r, scores={"score": float(i % 5 != 0)}) for i, r in enumerate(old)]
    found, alone = compare(old, new), compare(run([1.0] * 200), run([float(i % 5 != 0) for i in range(200)]))
    assert (found.pairs, found.units, found.checks[0].n) == (200, 5, 5)
    assert found.checks[0].estimate == pytest.approx(-0.2)
    assert (found.verdict, found.merge) == ("inconclusive", "yes")
    assert (alone.verdict, alone.merge) == ("fail", "no")


def grouped(rows: list[ResultRow], groups: Callable[[int], str | None]) -> list[ResultRow]:
    return [msgspec.structs.replace(row, group=groups(i)) for i, row in enumerate(rows)]


DIFFER = "the files group cases differently: those that share a group in any of them are one unit"


@pytest.mark.parametrize(
    ("old", "new", "units", "differ"),
    [
        (lambda i: f"g{i // 10}", lambda i: f"g{i // 10}", 6, False),
        (
            lambda i: f"g{i // 10}",
            lambda i: f"g{(i // 10 + 1) % 6}",
            6,
            False,
        ),  # the same groups, numbered anew
        (lambda i: f"g{i // 10}", lambda i: None, 6, False),
        (lambda i: None, lambda i: f"g{i // 10}", 6, False),
        (lambda i: f"g{i // 10}", lambda i: f"h{i // 20}", 3, True),
        (lambda i: f"h{i // 20}", lambda i: f"g{i // 10}", 3, True),
        (lambda i: f"g{i // 10}", lambda i: f"g{(i + 5) // 10}", 1, True),  # a chain
        (lambda i: f"g{i // 10}", lambda i: str(i), 6, True),
        (lambda i: "a" if i < 10 else None, lambda i: None if i < 20 else "a", 12, False),
    ],
)
def test_files_that_group_cases_differently(
    old: Callable[[int], str | None], new: Callable[[int], str | None], units: int, differ: bool
) -> None:
    """Sharing a group in one file is enough to depend on each other."""
    rows = run([1.0] * 60)
    found = compare(grouped(rows, old), grouped(rows, new))
    assert (found.units, found.checks[0].n, DIFFER in found.notes) == (units, units, differ)
    assert (DIFFER in aa(grouped(rows, old), grouped(rows, new), replications=50).notes) is differ


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([None, "a", "b", "c"])] * 2), min_size=2, max_size=12))
def test_what_always_holds_of_groups(groups: list[tuple[str | None, str | None]]) -> None:
    """Never finer than either file, and the order of the files does not matter."""
    rows = run([1.0] * len(groups))
    old, new = grouped(rows, lambda i: groups[i][0]), grouped(rows, lambda i: groups[i][1])
    joined, _ = joined_groups([[[a], [b]] for a, b in zip(old, new, strict=True)])
    for side in (old, new):
        for row, own in zip(side, joined, strict=True):
            assert (own is None) <= (row.group is None)
            same = [other for more, other in zip(side, joined, strict=True) if more.group == row.group]
            assert row.group is None or set(same) == {own}
    assert compare(old, new).units == compare(new, old).units


def test_latency_and_cost_are_advice() -> None:
    old = run([1.0] * 200, latency_s=1.0, cost_usd=0.0)
    new = run([1.0] * 200, latency_s=3.0, cost_usd=0.01)
    found = compare(old, new)
    latency, cost = found.amounts
    assert (latency.change, latency.ratio, latency.unit, latency.n) == (2.0, 3.0, "s", 200)
    assert (cost.change, cost.ratio) == (pytest.approx(0.01), None)
    assert found.merge == "yes"


def test_slices_that_got_worse_come_first() -> None:
    old = run([1.0] * 300)
    old = [
        msgspec.structs.replace(row, tags=("law" if i < 60 else "health", "all")) for i, row in enumerate(old)
    ]
    new = [msgspec.structs.replace(row, scores={"score": float(i >= 40)}) for i, row in enumerate(old)]
    law, health = compare(old, new).slices
    assert (law.tag, law.n, law.worse) == ("law", 60, True)
    assert law.change == pytest.approx(-2 / 3)
    assert (health.tag, health.worse) == ("health", False)


def test_broke_shows_both_outputs_of_the_repeat_that_changed() -> None:
    old = [
        ResultRow("a", "q", f"old {k}", scores={"score": s}, repeat=k) for k, s in enumerate((0.0, 1.0, 1.0))
    ]
    new = [
        ResultRow("a", "q", f"new {k}", scores={"score": s}, repeat=k) for k, s in enumerate((1.0, 0.0, 0.0))
    ]
    more = [ResultRow("b", "r", "same", scores={"score": 1.0})]
    (case,) = compare(old + more, new + more).broke
    assert (case.case_id, case.old_output, case.new_output) == ("a", "old 1", "new 1")
    assert case.old_score == pytest.approx(2 / 3)


def test_naive_gates_stand_beside() -> None:
    rng = np.random.default_rng(1)
    scores = coin(rng, 100, 0.8)
    flipped = [*scores]
    flipped[scores.index(1.0)] = 0.0
    found = compare(run(scores), run(flipped))
    answers = {gate.gate: gate.merge for gate in found.naive}
    assert answers["the mean is lower at all"] == "no"
    assert answers["the mean is lower by more than 3 points"] == "yes"
    assert answers["a case that passed now fails"] == "no"
    assert found.merge == "yes"


def test_a_scale_is_declared_not_guessed() -> None:
    stars = run([5.0, 4.0, 1.0, 3.0] * 30, metric="stars")
    with pytest.raises(UsageError) as caught:
        compare(stars, stars)
    assert "--scale stars=WORST:BEST" in str(caught.value)
    found = compare(stars, stars, scales={"stars": (1, 5)})
    assert found.levels[0].old == pytest.approx((1 + 0.75 + 0 + 0.5) / 4)
    with pytest.raises(UsageError, match="outside its scale"):
        compare(stars, stars, scales={"stars": (1, 4)})
    with pytest.raises(UsageError, match="no metric 'moons'"):
        compare(stars, stars, scales={"moons": (1, 5)})


def test_a_metric_that_may_count_faults_is_not_believed_to_be_better_when_higher() -> None:
    calm, rude = run([0.0] * 200, metric="ToxicityMetric"), run([0.5] * 200, metric="ToxicityMetric")
    with pytest.raises(UsageError) as caught:
        compare(calm, rude)
    assert "--scale ToxicityMetric=1:0" in str(caught.value)
    assert compare(calm, rude, scales={"ToxicityMetric": (1, 0)}).merge == "no"
    assert compare(rude, calm, scales={"ToxicityMetric": (1, 0)}).verdict == "pass"
    answer = run([1.0] * 200, metric="answer_certainty")
    assert compare(answer, answer).verdict == "pass"


def test_a_metric_left_out_is_named() -> None:
    rows = [msgspec.structs.replace(row, scores={"score": 1.0, "words": 300.0}) for row in run([1.0] * 20)]
    other = [msgspec.structs.replace(row, scores={**row.scores, "extra": 1.0}) for row in rows]
    found = compare(rows, other)
    assert [row.check for row in found.checks] == ["score"]
    assert any(note.startswith("words is left out") for note in found.notes)
    assert "extra: only in the new file" in found.notes


def test_files_without_a_common_metric_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        compare(run([1.0] * 5, metric="a"), run([1.0] * 5, metric="b"))
    assert "The old file has: a. The new file has: b." in str(caught.value)
    with pytest.raises(DatasetError, match="no rows"):
        compare([], run([1.0]))
    for wrong in (["a row"], None, 5, b"bytes"):
        with pytest.raises(UsageError, match="old: not a result file"):
            compare(wrong, run([1.0]))  # type: ignore[arg-type]


def test_json_has_the_keys_of_eval_and_nothing_that_is_not_json() -> None:
    found = msgspec.json.decode(msgspec.json.encode(compare(run(RIGHT * 10), run([0.0] * 40))))
    assert found["feature"] is None
    assert found["run_id"] is None
    assert found["calls"]["made"] == 0
    assert found["cost_usd"] == 0
    assert {"variant", "baseline", "verdict", "merge", "checks", "seconds", "seed"} <= found.keys()
    assert {"pairs", "only_old", "only_new", "slices", "broke", "fixed", "notes"} <= found.keys()
    row = found["checks"][0]
    keys = "check clause verdict estimate interval n ship_at block_at e_ship e_block reason"
    assert set(keys.split()) <= row.keys()


def test_the_shipped_example() -> None:
    found = compare(EXAMPLES / "mixtral-8x7b-instruct-v0.1.jsonl", EXAMPLES / "mathstral-7b.jsonl")
    assert found.pairs == 600
    assert (found.verdict, found.merge) == ("inconclusive", "yes")
    assert found.slices


@pytest.mark.parametrize(
    ("name", "pairs", "metrics"),
    [
        ("deepeval_run.json", 3, ["Same"]),
        ("inspect/epochs_zstandard.eval", 2, ["match", "includes"]),
        ("inspect/unscored.eval", 10, ["exact"]),
        ("mlflow_eval_results_table.json", 3, ["same"]),
        ("promptfoo_one_provider.json", 3, ["score", "passed", "same"]),
        ("promptfoo_two_providers.json::plain", 3, ["score", "passed"]),
        ("pydantic_evals_report.json", 3, ["length", "EqualsExpected"]),
        ("pytest_junit.xml", 3, ["passed", "score"]),
    ],
)
def test_files_of_real_tools_against_themselves(name: str, pairs: int, metrics: list[str]) -> None:
    file = str(DATA / name)
    found = compare(file, file)
    assert (found.pairs, found.verdict, found.merge) == (pairs, "inconclusive", "yes")
    assert [row.check for row in found.checks][: len(metrics)] == metrics
    assert found.broke == found.fixed == found.only_old == found.only_new == ()
    msgspec.json.encode(found)


def test_one_provider_against_the_other_in_one_file() -> None:
    file = str(DATA / "promptfoo_two_providers.json")
    found = compare(f"{file}::plain", f"{file}::shout")
    assert (found.pairs, found.baseline.rsplit("::")[-1], found.variant.rsplit("::")[-1]) == (
        3,
        "plain",
        "shout",
    )


def test_what_a_reader_says_is_passed_on_with_the_file() -> None:
    rows = [ResultRow(str(i), scores={"exact": 1.0}) for i in range(1, 11)]
    found = compare(DATA / "inspect" / "unscored.eval", rows)
    assert any(note.startswith("old file: The file has no scores") for note in found.notes)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=2, max_size=40
    )
)
def test_what_always_holds(scores: list[tuple[float, float]]) -> None:
    found = compare(run([a for a, _ in scores]), run([b for _, b in scores]))
    (row,) = found.checks
    assert row.interval is not None
    assert row.estimate is not None
    low, high = row.interval
    assert -1 <= low <= row.estimate + 1e-12
    assert row.estimate - 1e-12 <= high <= 1
    assert row.estimate == pytest.approx(sum(b - a for a, b in scores) / len(scores))
    broke = sum(a >= 0.5 > b for a, b in scores)
    fixed = sum(b >= 0.5 > a for a, b in scores)
    assert (len(found.broke), len(found.fixed)) == (broke, fixed)
    assert not (row.verdict == "pass" and row.estimate <= -0.03)
    assert not (found.merge == "no" and row.estimate >= 0)
