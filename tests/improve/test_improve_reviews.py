"""From a review to a case that fails the next eval until it is fixed."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from traces import SPEC, feature_span, project, trace_id

from shiftright import datasets
from shiftright import spec as specs
from shiftright.errors import DatasetError, SpecError, UsageError
from shiftright.evals.evaluate import evaluate
from shiftright.improve.agreement import agreement, labels_missing
from shiftright.improve.feedback import Given, take
from shiftright.improve.preference import Pair, ask, pairs_of_traces, preference
from shiftright.improve.reviews import dismiss, resolve, seen
from shiftright.settings import Settings
from shiftright.spec.editing import add_split
from shiftright.store import Records
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.store.reviews import ReviewClosed
from shiftright.store.rows import ReviewRow

TEXT = "I cannot find my debit thing"


def complained(records: Records, number: int = 1, text: str = TEXT) -> ReviewRow:
    span = feature_span(number, text, {"queue": "other"}, variant="rules")
    take(records, lambda _: (span,), Given(trace_id=trace_id(number), value=0))
    return records.reviews.list(trace_id=trace_id(number)).data[0]


def test_the_way_back(settings: Settings, records: Records) -> None:
    """Complaint, review, case, failing eval, fix, passing eval."""
    before = asyncio.run(evaluate("triage", settings, records))
    assert before.verdict is not None
    assert before.verdict.verdict == "pass"
    review = complained(records)
    done = resolve(records, settings, review.id, "real", "ann", correction="card", consent="given")
    assert done.case is not None
    assert done.case.edit is not None
    assert "must: must.jsonl" in done.case.edit
    (case,) = datasets.load(settings.root / "must.jsonl").cases
    assert (case.input, case.expected, case.source) == (TEXT, {"queue": "card"}, f"trace:{trace_id(1)}")
    assert case.tags == ("complaint", "consent:given")
    (score,) = records.scores.of_trace(trace_id(1))
    assert (score.score.value, score.score.source, score.author) == (0.0, "human", "ann")
    assert (done.review.resolution or {})["case"] == case.id

    failing = asyncio.run(evaluate("triage", settings, records))
    assert failing.verdict is not None
    assert (failing.verdict.verdict, failing.verdict.merge) == ("fail", "no")
    assert case.id in failing.verdict.reasons[0]

    code = settings.root / "triage.py"
    code.write_text(code.read_text().replace('"card" in text.lower()', '"card" in text or "debit" in text'))
    fixed = asyncio.run(evaluate("triage", settings, records))
    assert fixed.verdict is not None
    assert (fixed.verdict.verdict, fixed.verdict.merge) == ("pass", "yes")


def test_the_contract_is_changed_on_one_line_and_nowhere_else(settings: Settings, records: Records) -> None:
    resolve(records, settings, complained(records).id, "real", "ann", correction="card", consent="given")
    text = (settings.root / "spec.yaml").read_text()
    line = "cases: {dev: dev.jsonl, gate: gate.jsonl}   # tune on dev"
    assert text == SPEC.replace(
        line, "cases: {dev: dev.jsonl, gate: gate.jsonl, must: must.jsonl}   # tune on dev"
    )
    again = resolve(
        records,
        settings,
        complained(records, 2, "other words").id,
        "real",
        "ann",
        correction="x",
        consent="given",
    )
    assert again.case is not None
    assert again.case.edit is None
    assert len(datasets.load(settings.root / "must.jsonl")) == 2


def test_a_name_that_a_trace_brings_is_no_path(
    settings: Settings, records: Records, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "spec.yaml").write_text((settings.root / "spec.yaml").read_text())
    span = feature_span(1, TEXT, {"queue": "other"}, feature=str(other))
    take(records, lambda _: (span,), Given(trace_id=trace_id(1), value=0))
    (review,) = records.reviews.list(trace_id=trace_id(1)).data
    with pytest.raises(UsageError, match="no feature"):
        resolve(records, settings, review.id, "real", "ann", correction="card", consent="given")
    assert [path.name for path in other.iterdir()] == ["spec.yaml"]


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("cases: gate.jsonl", "cases: {gate: gate.jsonl, must: must.jsonl}"),
        ("cases: gate.jsonl  # all\r", "cases: {gate: gate.jsonl, must: must.jsonl}  # all\r"),
        ("cases: { gate: gate.jsonl }", "cases: { gate: gate.jsonl, must: must.jsonl }"),
        ("cases:   # two\n  dev: dev.jsonl\n  gate: gate.jsonl", None),
    ],
)
def test_every_way_to_write_cases(tmp_path: Path, written: str, becomes: str | None) -> None:
    line = "cases: {dev: dev.jsonl, gate: gate.jsonl}   # tune on dev"
    project(tmp_path)
    path = tmp_path / "spec.yaml"
    path.write_bytes(SPEC.replace(line, written).encode())
    (tmp_path / "must.jsonl").write_text('{"input": "a"}\n')
    add_split(path, "must", "must.jsonl")
    wanted = becomes or written.replace("# two\n", "# two\n  must: must.jsonl\n")
    assert path.read_bytes().decode() == SPEC.replace(line, wanted)
    assert specs.load(path).cases["must"] == tmp_path / "must.jsonl"


@pytest.mark.parametrize("written", ["cases: {gate: gate.jsonl,\n  dev: dev.jsonl}", '"cases": gate.jsonl'])
def test_what_one_line_cannot_change_is_left_alone_and_told(tmp_path: Path, written: str) -> None:
    line = "cases: {dev: dev.jsonl, gate: gate.jsonl}   # tune on dev"
    project(tmp_path)
    path = tmp_path / "spec.yaml"
    text = SPEC.replace(line, written)
    path.write_text(text)
    (tmp_path / "must.jsonl").write_text('{"input": "a"}\n')
    with pytest.raises(SpecError) as caught:
        add_split(path, "must", "must.jsonl")
    assert "must: must.jsonl" in (caught.value.hint or "")
    assert path.read_text() == text
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".spec")) == []


def test_a_correction_needs_consent_and_a_choice_that_fits(settings: Settings, records: Records) -> None:
    review = complained(records)
    for choice, consent, message in (
        ("real", None, "consent"),
        ("case_wrong", "given", "contradict"),
        ("perhaps", "given", "cannot be resolved"),
    ):
        with pytest.raises(UsageError, match=message):
            resolve(records, settings, review.id, choice, "ann", correction="card", consent=consent)  # type: ignore[arg-type]
    assert records.reviews.get(review.id).status == "open"
    assert not (settings.root / "must.jsonl").exists()


def test_two_answers_to_one_input_are_refused(settings: Settings, records: Records) -> None:
    resolve(records, settings, complained(records, 1).id, "real", "ann", correction="card", consent="given")
    second = complained(records, 2)
    with pytest.raises(DatasetError, match="another expected answer"):
        resolve(records, settings, second.id, "real", "bob", correction="loans", consent="given")
    assert records.reviews.get(second.id).status == "open"
    same = resolve(records, settings, second.id, "real", "bob", correction="card", consent="given")
    assert same.case is not None
    assert not same.case.added


def test_of_many_at_once_one_resolves_and_the_others_hear_of_it(settings: Settings, records: Records) -> None:
    review = complained(records)
    names = [f"p{number}" for number in range(8)]
    start = threading.Barrier(len(names))

    def say(name: str) -> str:
        start.wait(5)
        try:
            resolve(records, settings, review.id, "real", name, correction=name, consent="given")
        except ReviewClosed as error:
            return error.message
        return ""

    with ThreadPoolExecutor(len(names)) as pool:
        told = list(pool.map(say, names))
    winner = records.reviews.get(review.id).reviewer
    assert told[names.index(str(winner))] == ""
    others = [message for message in told if message]
    assert len(others) == len(names) - 1
    assert all(f"already resolved by {winner} at " in message for message in others)
    assert len(datasets.load(settings.root / "must.jsonl")) == 1


def test_a_second_opinion_and_how_far_two_people_agree(settings: Settings, records: Records) -> None:
    assert agreement(records, "triage").agree.n == 0
    for number in range(1, 31):
        review = complained(records, number, f"words {number} of trace")
        word = "real" if number % 3 else "judge_wrong"
        resolve(records, settings, review.id, word, "ann")
        other = word if number > 3 else "judge_wrong" if word == "real" else "real"
        second = resolve(records, settings, review.id, other, "bob")
        assert second.second
    with pytest.raises(UsageError, match=r"was already resolved by ann at 20\d\d-\d\d-\d\d "):
        resolve(records, settings, review.id, "real", "ann")
    found = agreement(records, "triage")
    assert (found.agree.n, found.agree.value, found.reviewers) == (30, 0.9, ("ann", "bob"))
    low, high = found.agree.interval
    assert 0.5 < low < 0.9 < high <= 1.0
    # ann calls 20 of 30 wrong, bob 19
    chance = 20 / 30 * 19 / 30 + 10 / 30 * 11 / 30
    assert found.kappa == pytest.approx((0.9 - chance) / (1 - chance), abs=0.01)


def test_how_many_labels_are_missing(settings: Settings, records: Records) -> None:
    start = labels_missing(settings, records, "triage")
    assert start.labels == 60
    resolve(records, settings, complained(records).id, "real", "ann")
    after = labels_missing(settings, records, "triage")
    assert after.labels == 61
    assert after.missing == max(start.missing - 1, 0)
    unknown = labels_missing(settings, records, "")
    assert "until 3 points can be decided" in str(unknown)
    assert unknown.missing > 500


def test_dismissed_says_nothing_of_the_answer(settings: Settings, records: Records) -> None:
    review = complained(records)
    assert dismiss(records, review.id, "ann", "spam").status == "dismissed"
    assert records.scores.of_trace(trace_id(1)) == ()


def pairs(count: int) -> list[Pair]:
    return [
        Pair(source=f"run:r/{i}", input=f"q{i}", candidate=f"new {i}", baseline=f"old {i}")
        for i in range(count)
    ]


def prefer(review: ReviewRow, liked: str) -> str:
    return "left" if review.subject["left"].startswith(liked) else "right"


def test_a_blind_preference(settings: Settings, records: Records) -> None:
    opened = ask(
        records,
        "triage",
        "new",
        "old",
        [*pairs(40), Pair(source="s", input=1, candidate=1, baseline=1)],
        limit=100,
    )
    assert len(opened) == 40
    assert ask(records, "triage", "new", "old", pairs(40), limit=100) == (), "a pair is asked once"
    left_is_new = sum(review.subject["left"].startswith("new") for review in opened)
    assert 10 < left_is_new < 30, "sides are shuffled"
    assert "pair" not in seen(opened[0])
    assert "new" not in json.dumps({k: v for k, v in seen(opened[0]).items() if k not in ("left", "right")})
    for number, review in enumerate(opened):
        resolve(records, settings, review.id, prefer(review, "new" if number % 10 else "old"), "ann")
    resolve(records, settings, opened[1].id, prefer(opened[1], "old"), "bob")
    found = preference(records, "triage", "new", "old")
    assert found.waiting == 0
    assert found.preferred.n == 40
    assert found.preferred.value == pytest.approx((36 - 0.5) / 40)
    assert found.preferred.interval[0] > 0.5
    assert "better" in str(found)
    assert "pair" in seen(records.reviews.get(opened[0].id)), "told once it is decided"


def test_pairs_of_live_answers_to_one_input(settings: Settings, records: Records) -> None:
    telemetry = DuckDBTelemetry(settings.home / "t.duckdb")
    telemetry.append(
        [
            feature_span(i, f"q{i % 4}", {"by": "old", "n": i % 4}, variant="old", session=f"s{i}")
            for i in range(1, 9)
        ]
        + [feature_span(i, f"q{i}", {"by": "new", "n": i}, variant="new") for i in range(20, 24)]
        + [feature_span(i, f"q{i % 3}", {"by": "new", "n": i}, variant="new") for i in range(30, 36)]
    )
    found = pairs_of_traces(telemetry, "triage", "new", "old")
    telemetry.close()
    assert sorted(pair.input for pair in found) == ["q0", "q1", "q2"]
    assert all(pair.candidate["by"] == "new" and pair.baseline["by"] == "old" for pair in found)
    assert len(ask(records, "triage", "new", "old", found, limit=2)) == 2


def test_pairs_of_one_group_count_once(settings: Settings, records: Records) -> None:
    same: list[Any] = [
        Pair(source=f"s{i}", input=i, candidate="new", baseline="old", group="one user") for i in range(10)
    ]
    for review in ask(records, "triage", "new", "old", same, limit=10):
        resolve(records, settings, review.id, prefer(review, "new"), "ann")
    assert preference(records, "triage", "new", "old").preferred.n == 1
