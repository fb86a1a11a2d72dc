from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from live_project import SPEC, Live, wait_for

from shiftright import spec as specs
from shiftright.core.verdict import LiveRow
from shiftright.monitor import incidents
from shiftright.monitor.board import board
from shiftright.monitor.sampling import drawn
from shiftright.monitor.violations import open_violations
from shiftright.monitor.watching import Monitor
from shiftright.store.intake import Intake
from shiftright.store.rows import FeedbackRow
from shiftright.store.spend import Spent, month_of
from shiftright.tracing import attributes as names


@pytest.fixture
def watched(live: Live) -> Iterator[tuple[Live, Intake, Monitor]]:
    intake = Intake(live.telemetry, flush_s=0.01)
    monitor = Monitor(live.settings, live.records, live.telemetry, look_s=0.05)
    monitor.start()
    intake.listen(monitor.listen)
    try:
        yield live, intake, monitor
    finally:
        intake.close()
        monitor.close()


def rows(live: Live, window: str = "24 h") -> dict[tuple[str, str], LiveRow]:
    found = board(specs.load(live.folder), live.records, live.telemetry).window(window)
    return {(row.check, row.clause): row for row in found.rows}


def test_every_trace_gets_cheap_scores_and_a_sample_the_others(watched: tuple[Live, Intake, Monitor]) -> None:
    live, intake, monitor = watched
    spans = [live.span() for _ in range(60)]
    assert intake.offer(spans)
    wait_for(lambda: monitor.scored == 60)
    scored = [[row.score.name for row in live.records.scores.of_trace(span.trace_id)] for span in spans]
    for span, given in zip(spans, scored, strict=True):
        assert given == (["json", "polite"] if drawn(span.trace_id, 0.5) else ["json"])
    found = rows(live)
    assert found["json", "never_fails"].verdict == "holds"
    assert found["json", "never_fails"].n == 60
    assert found["polite", "at_least"].n == sum(len(each) == 2 for each in scored)
    assert found["speed", "p95_at_most"].estimate == 1.0
    assert found["cost", "mean_at_most"].estimate == pytest.approx(0.001, rel=0.01)
    right = found["right", "at_least"]
    assert (right.verdict, right.n) == (None, 0)
    assert "expected output" in right.reason


def test_a_failed_trace_has_the_worst_score_and_no_scorer_is_asked(
    watched: tuple[Live, Intake, Monitor],
) -> None:
    live, intake, monitor = watched
    intake.offer([live.span(error="timeout: no answer within 10 s", output="")])
    wait_for(lambda: monitor.scored == 1)
    row = rows(live)["json", "never_fails"]
    assert (row.verdict, row.n) == ("broken", 1)
    assert rows(live)["speed", "p95_at_most"].estimate == 0.0


def test_spans_of_others_and_children_are_not_scored(watched: tuple[Live, Intake, Monitor]) -> None:
    live, intake, monitor = watched
    mine = live.span()
    child = live.span(trace_id=mine.trace_id, parent_span_id=mine.span_id, operation="chat", attributes={})
    intake.offer([child, mine, live.span(feature="another"), live.span(feature="")])
    wait_for(lambda: monitor.scored == 1)
    intake.offer([live.span(trace_id=mine.trace_id, parent_span_id="")])  # the caller's own root, later
    intake.offer([live.span()])
    wait_for(lambda: monitor.scored == 2)
    assert len(live.records.scores.values("triage", "json", since=0)) == 2


def test_a_full_queue_skips_and_never_waits(live: Live) -> None:
    monitor = Monitor(live.settings, live.records, live.telemetry, largest=10)
    monitor._read_contracts()
    monitor.listen([live.span() for _ in range(25)])
    assert (monitor.queued, monitor.skipped) == (10, 15)


def test_a_complaint_is_scored_but_enters_no_mean(watched: tuple[Live, Intake, Monitor]) -> None:
    live, intake, monitor = watched
    span = next(span for span in iter(live.span, None) if not drawn(span.trace_id, 0.5))
    intake.offer([span])
    wait_for(lambda: monitor.scored == 1)
    said = FeedbackRow(
        trace_id=span.trace_id, name="thumbs", created_at=time.time(), feature="triage", value=0.0
    )
    live.records.feedback.add(said)
    wait_for(lambda: monitor.scored == 2)
    asked = [row for row in live.records.scores.of_trace(span.trace_id) if row.score.name == "polite"]
    assert [row.author for row in asked] == ["complaint"]
    found = rows(live)
    assert found["polite", "at_least"].n == 0
    assert (found["helpful", "at_least"].n, found["helpful", "at_least"].estimate) == (1, 0.0)


def test_a_proven_violation_opens_one_incident(live: Live) -> None:
    live.telemetry.append([live.span(ms=5_000.0) for _ in range(120)])
    spec = specs.load(live.folder)
    opened = open_violations(spec, live.records, live.telemetry)
    assert [(incident.kind, incident.check, incident.subject["clause"]) for incident in opened] == [
        ("check", "speed", "p95_at_most")
    ]
    subject = opened[0].subject
    assert len(subject["traces"]) == 5
    assert "proven to miss the bound on 120 traces" in subject["reason"]
    assert not live.records.reviews.list().data, "that they are slow needs no person's judgement"
    assert open_violations(spec, live.records, live.telemetry) == []
    incidents.close(live.records, live.settings, opened[0].id, "ann", no_case="the network was slow")
    assert open_violations(spec, live.records, live.telemetry) == [], "nobody is told twice in a week"


def test_the_watch_opens_incidents_and_reviews_by_itself(watched: tuple[Live, Intake, Monitor]) -> None:
    live, intake, _ = watched
    intake.offer([live.span(output=[1]) for _ in range(3)])
    wait_for(lambda: bool(live.records.reviews.list(kind="violation").data))
    (incident,) = live.records.incidents.list()
    assert (incident.check, incident.status) == ("json", "open")
    review = live.records.reviews.list(kind="violation").data[0]
    assert review.subject["check"] == "json"
    assert review.trace_id in incident.subject["traces"]
    assert "where is parcel" in review.subject["input"]


def test_windows_hold_what_happened_in_them(live: Live) -> None:
    live.telemetry.append([live.span(), live.span(ago_s=7200.0), live.span(ago_s=3 * 86400.0, error="broke")])
    found = board(specs.load(live.folder), live.records, live.telemetry)
    assert [(w.name, w.traces, w.failed) for w in found.windows] == [
        ("1 h", 1, 0),
        ("24 h", 2, 0),
        ("7 d", 3, 1),
    ]
    assert found.window("7 d").cost_usd == pytest.approx(0.003)


def test_a_contract_changed_on_disk_is_followed(watched: tuple[Live, Intake, Monitor]) -> None:
    live, intake, monitor = watched
    file = live.folder / "spec.yaml"
    file.write_text(file.read_text().replace("feature: triage", "feature: sorting"))
    wait_for(lambda: "sorting" in monitor._specs)
    intake.offer([live.span(feature="sorting")])
    wait_for(lambda: monitor.scored == 1)
    assert len(live.records.scores.values("sorting", "json", since=0)) == 1


def test_a_rubric_edited_alone_is_followed(live: Live) -> None:
    spans = [live.span(), live.span()]
    for name, verdict in (("strict", "fail"), ("mild", "pass")):
        rows = [{"case_id": span.trace_id, "output": {"reason": "So.", "verdict": verdict}} for span in spans]
        (live.folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rubric = live.folder / "polite.md"
    rubric.write_text("---\nmodel: recorded:strict.jsonl\n---\nIs it polite?")
    judged = SPEC.replace('score: "scores:polite"', "judge: polite.md").replace("50%}", "100%}")
    (live.folder / "spec.yaml").write_text(judged)
    intake = Intake(live.telemetry, flush_s=0.01)
    monitor = Monitor(live.settings, live.records, live.telemetry, look_s=0.05)
    monitor.start()
    intake.listen(monitor.listen)

    def value(number: int) -> list[float | None]:
        rows = live.records.scores.of_trace(spans[number].trace_id)
        return [row.score.value for row in rows if row.score.name == "polite"]

    try:
        intake.offer([spans[0]])
        wait_for(lambda: value(0) == [0.0])
        rubric.write_text("---\nmodel: recorded:mild.jsonl\n---\nIs it rather polite?")
        wait_for(lambda: not monitor._scorings)
        intake.offer([spans[1]])
        wait_for(lambda: value(1) == [1.0])
    finally:
        intake.close()
        monitor.close()


def test_what_is_drawn_at_a_small_share_is_drawn_at_a_larger_one() -> None:
    ids = [f"{number:032x}" for number in range(4000)]
    small = {trace_id for trace_id in ids if drawn(trace_id, 0.1)}
    assert small <= {trace_id for trace_id in ids if drawn(trace_id, 0.3)}
    assert 300 < len(small) < 500
    assert all(drawn(trace_id, 1.0) for trace_id in ids)


def test_a_judge_that_cannot_be_asked_costs_its_own_scores_and_says_so(live: Live) -> None:
    model = "model: http://127.0.0.1:9/v1#judge\napi_key_env: NO_SUCH_KEY\nprice: {input: 1 USD/M, output: 1 USD/M}"
    (live.folder / "helpful.md").write_text(f"---\n{model}\n---\nIs it polite?")
    text = SPEC.replace("50%}", "100%}").replace(
        "  speed:", "  judged: {judge: helpful.md, at_least: 50%}\n  speed:"
    )
    (live.folder / "spec.yaml").write_text(text)
    intake = Intake(live.telemetry, flush_s=0.01)
    monitor = Monitor(live.settings, live.records, live.telemetry, look_s=0.05)
    monitor.start()
    intake.listen(monitor.listen)
    try:
        spans = [live.span() for _ in range(10)]
        intake.offer(spans)
        wait_for(lambda: monitor.scored == 10)
        for span in spans:
            named = {row.score.name for row in live.records.scores.of_trace(span.trace_id)}
            assert named == {"json", "polite"}
        assert "NO_SUCH_KEY" in monitor.failing["triage", "judged"]
    finally:
        intake.close()
        monitor.close()


def test_a_judge_asks_people_where_it_finds_fault_and_stops_at_its_budget(live: Live) -> None:
    bad, good, third = live.span(), live.span(), live.span()
    verdicts = [
        {"case_id": bad.trace_id, "output": {"reason": "It orders about.", "verdict": "fail"}},
        {"case_id": good.trace_id, "output": {"reason": "It asks.", "verdict": "pass"}},
    ]
    (live.folder / "judge.jsonl").write_text("".join(json.dumps(row) + "\n" for row in verdicts))
    (live.folder / "polite.md").write_text("---\nmodel: recorded:judge.jsonl\n---\nIs it polite?")
    paid = "model: http://127.0.0.1:9/v1#judge\nprice: {input: 5 USD/M, output: 5 USD/M}"
    (live.folder / "paid.md").write_text(f"---\n{paid}\n---\nIs it polite?")
    judged = SPEC.replace('score: "scores:polite"', "judge: polite.md").replace("50%}", "100%}")
    file = live.folder / "spec.yaml"
    file.write_text(judged)
    intake = Intake(live.telemetry, flush_s=0.01)
    monitor = Monitor(live.settings, live.records, live.telemetry, look_s=0.05)
    monitor.start()
    intake.listen(monitor.listen)
    try:
        intake.offer([bad, good])
        wait_for(lambda: monitor.scored == 2)
        assert [value for _, value in sorted(live.records.scores.values("triage", "polite", since=0))] == [
            0.0,
            1.0,
        ]
        (review,) = live.records.reviews.list(kind="low_score").data
        assert review.trace_id == bad.trace_id
        assert review.subject["scores"] == [
            {"check": "polite", "value": 0.0, "explanation": "It orders about."}
        ]
        assert monitor.paused == {}
        live.records.spend.add(month_of(time.time()), {"judge:triage": Spent(5.0, 1)})
        file.write_text(judged.replace("polite.md", "paid.md"))
        wait_for(lambda: monitor._specs["triage"].check("polite").params["rubric"].endswith("paid.md"))
        intake.offer([third])
        wait_for(lambda: monitor.scored == 3)
        assert "month's 5 USD for judging are spent" in monitor.paused["triage"]
        assert [row.score.name for row in live.records.scores.of_trace(third.trace_id)] == ["json"]
    finally:
        intake.close()
        monitor.close()


def test_the_share_of_each_rung_is_a_live_check(live: Live) -> None:
    checks = (
        "  by_code: {score: fallback, rung: rules, at_most: 5%}\n  helped: {score: fallback, at_most: 5%}\n"
    )
    (live.folder / "spec.yaml").write_text(SPEC.replace("live:", f"{checks}live:"))
    intake = Intake(live.telemetry, flush_s=0.01)
    monitor = Monitor(live.settings, live.records, live.telemetry, look_s=0.05)
    monitor.start()
    intake.listen(monitor.listen)
    try:
        spans = [live.span() for _ in range(60)]
        for i, span in enumerate(spans[:30]):
            span.attributes = span.attributes | {names.RUNG: "rules" if i < 20 else "person:support"}
        intake.offer(spans)
        wait_for(lambda: monitor.scored == 60)
        found = rows(live)
        assert found["by_code", "at_most"].estimate == pytest.approx(1 / 3)
        assert (found["helped", "at_most"].estimate, found["helped", "at_most"].verdict) == (0.5, "broken")
        wait_for(lambda: len(live.records.incidents.list()) == 2)
        assert not live.records.reviews.list(kind="violation").data
    finally:
        intake.close()
        monitor.close()


def test_in_a_rollout_every_trace_gets_what_is_free_and_means_stay_those_of_the_drawn(
    watched: tuple[Live, Intake, Monitor],
) -> None:
    live, intake, monitor = watched
    spans = [live.span(attributes={names.URL_PATH: "/", names.ROLLOUT: "o-1"}) for _ in range(40)]
    assert intake.offer(spans)
    wait_for(lambda: monitor.scored == 40)
    for span in spans:
        given = live.records.scores.of_trace(span.trace_id)
        assert [row.score.name for row in given] == ["json", "polite"]
        assert given[1].author == ("" if drawn(span.trace_id, 0.5) else "rollout")
    assert rows(live)["polite", "at_least"].n == sum(drawn(span.trace_id, 0.5) for span in spans)


def test_a_shadow_copy_is_scored_and_is_no_traffic(watched: tuple[Live, Intake, Monitor]) -> None:
    live, intake, monitor = watched
    kept = {names.URL_PATH: "/", names.ROLLOUT: "o-1", names.SHADOW_OF: "triage", names.UNIT: "live"}
    copy = live.span(feature="", attributes=kept)
    assert intake.offer([copy])
    wait_for(lambda: monitor.scored == 1)
    given = live.records.scores.of_trace(copy.trace_id)
    assert {row.score.name for row in given} == {"json", "polite"}
    assert {(row.feature, row.author) for row in given} == {("triage", "shadow")}
    found = rows(live)
    assert found["json", "never_fails"].n == found["speed", "p95_at_most"].n == 0
