"""``shiftright diff`` on cases and on live inputs, as a user asks for it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from desk import CONTRACT, Desk, cheap, old, spans, topic

from shiftright.core.spec import Check, Clause, Spec
from shiftright.ship.diff.judging import relative
from shiftright.store.rows import FeedbackRow


@pytest.fixture
def desk(shiftright: Any, tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def groups(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {group["name"]: group for group in found["behaviours"]}


def test_a_worse_side_is_told_from_by_check_slice_and_behaviour(shiftright: Any, desk: Desk) -> None:
    said = shiftright("diff", "desk", "--from", "old", "--to", "cheap", "--json")
    found = said.json
    assert (said.code, found["verdict"]) == (1, "fail")
    assert [(row["check"], row["clause"]) for row in found["checks"]] == [
        ("right", "max_drop"),
        ("json", "max_drop"),
    ]
    assert found["recommendation"][0].startswith("Stay with old: right: ")
    changed = groups(found)
    assert changed["answered → refused"]["n"] == 60
    assert changed["answered → refused"]["marked"]
    assert "refund" in changed["answered → refused"]["clusters"][0]["name"]
    assert changed["queue: technical → billing"]["n"] == 60
    assert changed["right: passed → failed"]["n"] == 60 + 60 + 20
    assert changed["JSON → prose"]["n"] == 20
    assert changed["English → German"]["n"] == 12
    assert found["unchanged"] == 240 - 60 - 60 - 20 - 12
    worse = {(row["tag"], row["metric"]) for row in found["slices"] if row["worse"]}
    assert {("refund", "right"), ("router", "right"), ("refund", "json")} <= worse
    assert ("password", "right") not in worse
    beside = {one["name"]: one for one in found["measures"]}
    assert {
        name: (one["old"], round(one["new"], 4), one["worse"])
        for name, one in beside.items()
        if name != "tone"
    } == {
        "failed": (0.0, 0.0, False),
        "refused": (0.0, 0.25, True),
        "unreadable": (0.0, 0.0833, True),
        "other language": (0.0, 0.05, True),
    }
    assert beside["refused"]["interval"][0] > 0.1
    assert beside["tone"]["new"] < beside["tone"]["old"]


def test_examples_show_input_and_both_answers(shiftright: Any, desk: Desk) -> None:
    found = shiftright("diff", "desk", "--from", "old", "--to", "cheap", "--json").json
    (example, *_) = groups(found)["answered → refused"]["examples"]
    i = int(example["case_id"].removeprefix("c"))
    assert topic(i) == "refund"
    assert (example["old_output"], example["new_output"]) == (old(i), cheap(i))
    assert example["expected"] == {"queue": "billing"}


def test_an_equal_and_cheaper_side_is_recommended_with_what_it_saves(shiftright: Any, desk: Desk) -> None:
    told = shiftright("diff", "desk", "--from", "old", "--to", "twin", "--json")
    found = told.json
    assert (told.code, found["verdict"]) == (0, "pass")
    assert "at most 5 %" in found["recommendation"][0]
    assert found["behaviours"] == []
    saved = found["saving"]
    each = (50 * 10 + 30 * 30) / 1e6
    assert saved["old_usd_per_call"] == pytest.approx(each)
    assert saved["usd_a_month"] == pytest.approx(100_000 * each * 0.9)
    assert saved["calls_from"] == "the contract's uses_per_month"


def test_few_inputs_decide_nothing(shiftright: Any, desk: Desk) -> None:
    told = shiftright("diff", "desk", "--from", "old", "--to", "twin", "--limit", "20", "--json")
    assert (told.code, told.json["verdict"], told.json["cases"]) == (2, "inconclusive", 20)
    assert told.json["recommendation"][0].startswith("Not decided: ")


def test_a_cap_is_a_note_and_the_same_command_goes_on(shiftright: Any, desk: Desk) -> None:
    capped = shiftright("diff", "desk", "--from", "old", "--to", "twin", "--max-calls", "100", "--json")
    assert capped.code == 2
    assert capped.json["cases"] == 50
    assert "50 of 240 inputs were replayed" in capped.json["notes"][0]
    assert desk.calls == 100
    whole = shiftright("diff", "desk", "--from", "old", "--to", "twin", "--json").json
    assert (whole["cases"], whole["calls"]["cached"], desk.calls) == (240, 100, 480)
    again = shiftright("diff", "desk", "--from", "old", "--to", "twin", "--json").json
    assert (again["calls"]["made"], again["cost_usd"], desk.calls) == (0, 0.0, 480)
    assert [again[key] for key in ("checks", "behaviours", "saving")] == [
        whole[key] for key in ("checks", "behaviours", "saving")
    ]


def test_a_diff_is_kept_as_a_run_and_decides_nothing(shiftright: Any, desk: Desk) -> None:
    run = shiftright("diff", "desk", "--from", "old", "--to", "twin", "--json").json["run_id"]
    with desk.records() as records:
        kept = records.runs.get(run)
        assert (kept.options["kind"], kept.options["from"], kept.options["to"]) == ("diff", "old", "twin")
        assert (kept.verdict, kept.decision_id, kept.made, kept.baseline_made) == (None, None, 240, 240)
        assert records.ledger.find_related("desk") == []
    assert not (desk.folder / "shiftright.lock").exists()


def test_sides_may_be_releases_and_other_models(shiftright: Any, desk: Desk) -> None:
    digest = shiftright("release", "desk", "--variant", "old", "--json").json["digest"]
    found = shiftright(
        "diff", "desk", "--from", f"release:{digest[:12]}", "--to", "recorded:cheap.jsonl", "--json"
    ).json
    assert found["from"] == {
        "name": f"old (release:{digest[:12]})", "model": "recorded:old.jsonl", "digest": found["from"]["digest"]
    }  # fmt: skip
    assert (found["to"]["name"], found["to"]["model"]) == ("recorded:cheap.jsonl", "recorded:cheap.jsonl")
    assert found["verdict"] == "fail"
    assert found["saving"]["usd_a_month"] is None
    assert "price of a side is not known" in found["saving"]["sentence"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "old", "--to", "cheep"), "Did you mean 'cheap'?"),
        (("--from", "old", "--to", "old"), "the same code and settings"),
        (("--from", "old", "--to", "release:abc"), "no release 'abc'"),
        (("--from", "old", "--to", "cheap", "--cases", "dev"), "there is no dev"),
        (("--from", "old", "--to", "cheap", "--cases", "gate", "--traces", "7d"), "two sets of inputs"),
        (("--from", "old", "--to", "cheap", "--traces", "7d"), "no traces have been recorded"),
        (("--from", "old", "--to", "cheap", "--traces", "soon"), "is no time"),
    ],
)
def test_what_cannot_be_compared_says_the_way_out(
    shiftright: Any, desk: Desk, words: tuple[str, ...], said: str
) -> None:
    told = shiftright("diff", "desk", *words)
    assert told.code == 3
    assert said in told.err
    assert desk.calls == 0


def test_a_model_needs_a_baseline_that_names_one(shiftright: Any, tmp_path: Path) -> None:
    Desk(tmp_path, contract=CONTRACT.replace("baseline: old", "baseline: rules"))
    told = shiftright("diff", "desk", "--from", "old", "--to", "openai:gpt-5")
    assert (told.code, "names no model" in told.err) == (3, True)


def test_what_paid_calls_may_cost_is_said_first(
    shiftright: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    told = shiftright("diff", "desk", "--from", "old", "--to", "openai:gpt-5", "--max-calls", "0")
    assert "paid calls: at most about" in told.err
    assert "openai:gpt-5" in told.err
    assert desk.calls == 0


@pytest.fixture
def live(shiftright: Any, desk: Desk) -> Desk:
    """80 requests of the last two days with 40 different inputs; refunds are disliked."""
    now = time.time_ns()
    with desk.telemetry() as telemetry:
        for number in range(80):
            telemetry.append(spans(number, now - (80 - number) * 2_000 * 10**9))
    with desk.records() as records:
        for number in range(80):
            if topic(number) in ("refund", "router"):
                value = 0.0 if topic(number) == "refund" else 1.0
                records.feedback.add(
                    FeedbackRow(trace_id=f"{number + 1:032x}", name="thumb", created_at=1.0, value=value)
                )
    # the newest trace of an input stands for it
    desk.record([(f"trace:{number + 1:032x}", number % 40) for number in range(80)])
    return desk


def test_live_inputs_are_replayed_once_each(shiftright: Any, live: Desk) -> None:
    told = shiftright("diff", "desk", "--from", "old", "--to", "cheap", "--traces", "7d", "--json")
    found = told.json
    assert (found["cases"], live.calls) == (40, 80)
    assert [row["check"] for row in found["checks"]] == ["json"]
    assert any("right needs an expected output" in note for note in found["notes"])
    assert any("80 traces have 40 different inputs" in note for note in found["notes"])
    assert groups(found)["answered → refused"]["n"] == 10
    assert found["feedback"] == {"traces": 20, "liked": 0.5, "disliked": 10, "disliked_changed": 10}
    assert found["slices"][0]["tag"] == "disliked by users"
    assert found["saving"]["calls_from"] == "80 traces in the last 2 days"
    assert found["saving"]["calls_a_month"] == pytest.approx(80 * 30 / (160_000 / 86_400), rel=0.03)


def test_answers_to_live_inputs_go_with_the_trace(shiftright: Any, live: Desk) -> None:
    shiftright("diff", "desk", "--from", "old", "--to", "cheap", "--traces", "7d", "--json")
    newest = f"{80:032x}"

    def kept() -> set[str]:
        with live.records() as records:
            runs = records.runs.list("desk")
            sides = [digest for run in runs for digest in (run.variant_digest, run.baseline_digest or "")]
            rows = [row for side in sides for row in records.answers.get(side).values()]
            assert all(not row.answer.spans for row in rows)
            assert not any(list(records.runs.cases(run.id)) for run in runs)
            return {row.case_id for row in rows}

    assert f"trace:{newest}" in kept()
    erased = shiftright("erase", "--trace", newest, "--yes", "--json").json
    assert erased["erased"]["texts"]["answers"] == 2
    assert f"trace:{newest}" not in kept()
    with live.records() as records:
        assert records.texts.forget_before(time.time() + 1, "desk").answers == 78
    assert kept() == set()


def test_the_page_is_whole_and_harmless_whatever_was_answered(shiftright: Any, desk: Desk) -> None:
    evil = "<script>alert(1)</script> ]]> \u202e \x1b[31m {{ 7 * 7 }} `|` " + "W" * 3_000
    desk.record(
        [(f"c{i}", i) for i in range(240)], cheap=lambda i: evil if i % 2 else "I can't help with that."
    )
    page, comment = desk.folder / "diff.html", desk.folder / "diff.md"
    words = (
        "diff",
        "desk",
        "--from",
        "old",
        "--to",
        "cheap",
        "--html",
        str(page),
        "--markdown",
        str(comment),
    )
    told = shiftright(*words)
    html, markdown = page.read_text(), comment.read_text()
    assert "<script" not in html.split("</head>")[1]
    assert "&lt;script&gt;" in html
    assert "http://" not in html.replace("http://www.w3.org", "")
    for text in (html, markdown, told.out):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "{{ 7 * 7 }}" in html
    assert "Stay with old" in told.out
    assert "### desk: old → cheap" in markdown


def test_relative_form_of_a_contract() -> None:
    checks = (
        Check("a", "exact", clauses=(Clause("at_least", 0.9), Clause("max_drop", 0.05))),
        Check("b", "judge", clauses=(Clause("at_most", 0.1),)),
        Check("c", "schema", clauses=(Clause("never_fails", 0.0),)),
        Check("d", "latency", clauses=(Clause("p95_at_most", 2.0),)),
        Check("e", "exact", clauses=(Clause("min_gain", 0.02),)),
    )
    found = relative(Spec("x", Path("spec.yaml"), checks=checks))
    told = {check.name: [(clause.kind, clause.bound) for clause in check.clauses] for check in found.checks}
    assert told == {
        "a": [("max_drop", 0.05)],
        "b": [("max_drop", 0.03)],
        "c": [("never_fails", 0.0)],
        "d": [("p95_at_most", 2.0)],
        "e": [("min_gain", 0.02)],
    }


def test_json_is_one_document_of_the_stated_form(shiftright: Any, desk: Desk) -> None:
    found = json.loads(shiftright("diff", "desk", "--from", "old", "--to", "cheap", "--json").out)
    assert {
        "verdict",
        "checks",
        "slices",
        "behaviours",
        "saving",
        "from",
        "to",
        "recommendation",
    } <= found.keys()
