"""Traces are kept as long as somebody asked for, and no longer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from live_project import Live

from shiftright.core.score import Score
from shiftright.errors import SpecError
from shiftright.monitor.retention import KEEP_BYTES, Retention, keep_pruning, prune, prune_texts, retention
from shiftright.store.rows import FeedbackRow, ScoreRow
from shiftright.store.texts import Forgotten

DAY = 86400.0


def contract(live: Live, name: str, more: str) -> Path:
    folder = live.folder / name
    folder.mkdir()
    text = (live.folder / "spec.yaml").read_text().replace("feature: triage", f"feature: {name}")
    for file in ("triage.py", "scores.py", "shape.json", "cases.jsonl"):
        (folder / file).write_text((live.folder / file).read_text())
    (folder / "spec.yaml").write_text(text + more)
    return folder / "spec.yaml"


def features(live: Live) -> list[str]:
    return sorted(row.feature for row in live.telemetry.traces().data)


def test_each_feature_keeps_its_own_time(live: Live) -> None:
    contract(live, "short", "data: {keep: 7 days}\n")
    contract(live, "long", "data: {keep: 365 days}\n")
    for feature in ("short", "long", "triage", ""):
        live.telemetry.append([live.span(feature=feature, ago_s=8 * DAY), live.span(feature=feature)])
    kept = retention(live.folder)
    assert kept == Retention({"short": 7 * DAY, "long": 365 * DAY}, None, KEEP_BYTES)
    assert prune(live.telemetry, kept, time.time_ns()) == 1
    assert features(live) == ["", "", "long", "long", "short", "triage", "triage"]


def test_the_company_speaks_for_what_no_contract_speaks_for(live: Live) -> None:
    (live.folder / "shiftright.yaml").write_text("data: {keep: 3 days}\ntelemetry: {keep_bytes: 9000000}\n")
    file = contract(live, "long", "data: {keep: 7 days}\n")
    for feature in ("long", "triage", ""):
        live.telemetry.append([live.span(feature=feature, ago_s=days * DAY) for days in (5, 8)])
    kept = retention(live.folder)
    assert kept == Retention({"long": 7 * DAY}, 3 * DAY, 9_000_000)
    assert prune(live.telemetry, kept, time.time_ns()) == 5
    assert features(live) == ["long"]
    file.write_text("feature: long\n")
    assert retention(live.folder).others_s is None, "a contract that cannot be read may ask for longer"


def test_a_trace_is_whole_or_gone(live: Live) -> None:
    contract(live, "short", "data: {keep: 7 days}\n")
    root = live.span(feature="short", ago_s=8 * DAY)
    live.telemetry.append([root])
    live.telemetry.append([live.span(trace_id=root.trace_id, parent_span_id=root.span_id, feature="")])
    assert prune(live.telemetry, retention(live.folder), time.time_ns()) == 0, "it goes on"
    later = time.time_ns() + int(8 * DAY * 1e9)
    assert prune(live.telemetry, retention(live.folder), later) == 2


def test_the_oldest_make_room(live: Live) -> None:
    live.telemetry.append([live.span(ago_s=DAY * n) for n in range(1, 4)])
    nobody = {"nobody": DAY}  # forgetting folds the log into the file, whose blocks are what is counted
    assert prune(live.telemetry, Retention(nobody), time.time_ns()) == 0
    assert prune(live.telemetry, Retention(nobody, keep_bytes=1), time.time_ns()) == 3


def test_serving_prunes_by_itself_and_goes_on_after_trouble(live: Live) -> None:
    (live.folder / "shiftright.yaml").write_text("telemetry: {keep_bytes: lots}\n")
    live.telemetry.append([live.span(ago_s=3 * DAY), live.span()])

    async def run() -> None:
        task = asyncio.create_task(keep_pruning(live.folder, live.telemetry, live.records, every_s=0.01))
        await asyncio.sleep(0.1)
        assert live.telemetry.count() == 2
        (live.folder / "shiftright.yaml").write_text("data: {keep: 2 days}\n")
        async with asyncio.timeout(10):
            while live.telemetry.count() > 1:  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def written(live: Live, trace_id: str, feature: str = "triage") -> str:
    """Feedback, a score and a review of a trace, each with something personal in it; gives the review's id."""
    now = time.time()
    live.records.feedback.add(
        FeedbackRow(trace_id=trace_id, name="thumbs", created_at=now, feature=feature, value=0.0,
                    comment="I am Ann", correction="Ann", user="ann")
    )  # fmt: skip
    score = Score("polite", 0.0, explanation="It calls her Ann")
    live.records.scores.add([ScoreRow(trace_id=trace_id, feature=feature, score=score, created_at=now)])
    subject = {"input": {"forgotten": True, "is": "Ann"}, "output": "Ann", "variant": "a", "check": "polite"}
    return live.records.reviews.open("complaint", subject, feature=feature, trace_id=trace_id).id


def test_what_was_written_goes_with_its_time_and_what_was_decided_stays(live: Live) -> None:
    contract(live, "short", "data: {keep: 7 days}\n")
    first, second, other = (
        written(live, name * 32, feature) for name, feature in (("a", "short"), ("b", "short"), ("c", ""))
    )
    reviews = live.records.reviews
    said = {"choice": "real", "comment": "Ann is right", "correction": "Ann", "case": "c1"}
    reviews.close(first, "resolved", said, "bob")
    violation = reviews.open("violation", {"check": "polite", "reason": "below"}, feature="short").id
    kept = retention(live.folder)
    assert not prune_texts(live.records, kept, time.time() + 6 * DAY)
    assert prune_texts(live.records, kept, time.time() + 8 * DAY) == Forgotten(2, 2, 2)
    assert not prune_texts(live.records, kept, time.time() + 8 * DAY), "once is enough"
    done = reviews.get(first)
    assert (done.status, done.reviewer, done.resolution) == (
        "resolved",
        "bob",
        {"choice": "real", "case": "c1"},
    )
    assert done.subject == {"forgotten": True, "check": "polite", "variant": "a"}
    assert (reviews.get(second).status, reviews.get(second).reviewer) == ("dismissed", "retention")
    (told,) = live.records.feedback.of_trace("a" * 32)
    assert (told.value, told.comment, told.correction, told.user) == (0.0, None, None, None)
    (score,) = live.records.scores.of_trace("a" * 32)
    assert (score.score.value, score.score.explanation) == (0.0, None)
    assert reviews.get(violation).subject["reason"] == "below"
    assert "Ann" in str(reviews.get(other)), "no contract and no company says how long"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("telemetry: {keep_bytes: -1}", "no number of bytes"),
        ("telemetry: {keep: 3}", "unknown key 'keep'"),
        ("data: {keep: 3}", "unit is missing"),
    ],
)
def test_what_the_company_says_wrongly_is_told_with_its_line(live: Live, text: str, said: str) -> None:
    (live.folder / "shiftright.yaml").write_text(f"# ours\n{text}\n")
    with pytest.raises(SpecError, match=said) as caught:
        retention(live.folder)
    assert caught.value.line == 2
