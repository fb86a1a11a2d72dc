"""From a contract to a verdict, through the real command in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

from walking import SPEC, Walk

KEYS = {
    "feature",
    "variant",
    "baseline",
    "verdict",
    "merge",
    "checks",
    "calls",
    "cost_usd",
    "seconds",
    "run_id",
    "seed",
}
CHECK_KEYS = {
    "check", "clause", "verdict", "estimate", "interval", "n",
    "ship_at", "block_at", "e_ship", "e_block", "reason",
}  # fmt: skip
CALL_KEYS = {"made", "baseline_made", "cached", "fixed_sample", "limit"}


def test_a_good_variant_passes_and_the_decision_is_never_made_again(walk: Walk) -> None:
    code, first = walk.eval("--variant", "perfect")
    assert (code, first["verdict"], first["merge"]) == (0, "pass", "yes")
    assert first.keys() >= KEYS
    assert first["checks"][0].keys() >= CHECK_KEYS
    assert first["calls"].keys() == CALL_KEYS
    assert 0 < first["calls"]["made"] < 120, "it stops when it is decided"

    calls = len(walk.calls)
    code, again = walk.eval("--variant", "perfect", "--max-calls", "0", "--repeats", "3")
    assert (code, again["verdict"], again["stored"]) == (0, "pass", True)
    assert len(walk.calls) == calls
    assert again["run_id"] == first["run_id"]


def test_a_bad_variant_fails_and_must_not_merge(walk: Walk) -> None:
    code, found = walk.eval("--variant", "worse")
    assert (code, found["verdict"], found["merge"]) == (1, "fail", "no")
    assert "loss" in found["reasons"][0] or "drop" in found["reasons"][0]


def test_an_equal_variant_on_few_cases_is_inconclusive_and_says_what_it_takes(tmp_path: Path) -> None:
    code, found = Walk(tmp_path, cases=25).eval("--variant", "same")
    assert (code, found["verdict"], found["merge"]) == (2, "inconclusive", "yes")
    assert "need about" in found["reasons"][0]


def test_a_variant_that_always_raises_is_data_not_an_error(walk: Walk) -> None:
    code, found = walk.eval("--variant", "down")
    assert (code, found["verdict"], found["merge"]) == (1, "fail", "no")
    shown = walk.run("show", found["run_id"])
    assert "RuntimeError: this variant is broken" in shown.stdout


def test_a_failed_must_case_fails_both_answers_before_anything_else_is_paid_for(tmp_path: Path) -> None:
    walk = Walk(tmp_path, splits="{gate: cases.jsonl, must: must.jsonl}")
    walk.write_cases("must.jsonl", [{"id": "m1", "input": "hello 1", "expected": "something else"}])
    code, found = walk.eval("--variant", "perfect")
    assert (code, found["verdict"], found["merge"]) == (1, "fail", "no")
    assert "m1" in found["reasons"][0]
    assert walk.calls == ["perfect hello 1"]


def test_a_cap_is_inconclusive_and_the_next_command_goes_on(walk: Walk) -> None:
    code, capped = walk.eval("--variant", "same", "--max-calls", "20")
    assert (code, capped["verdict"]) == (2, "inconclusive")
    assert "cap of 20 calls" in capped["reasons"][0]
    assert len(walk.calls) == 20
    walk.eval("--variant", "same")
    assert len(walk.calls) == len(set(walk.calls)), "nothing was asked twice"


def test_a_look_decides_nothing(walk: Walk) -> None:
    code, found = walk.eval("--variant", "perfect", "--limit", "5")
    assert (code, found["verdict"], found["merge"]) == (2, None, None)
    assert found["cases"] == 5
    assert all(row["verdict"] is None for row in found["checks"])
    code, one = walk.eval("--variant", "perfect", "--case", "c7")
    assert (code, one["cases"]) == (2, 1)
    code, tagged = walk.eval("--variant", "perfect", "--tag", "odd", "--limit", "3")
    assert (code, tagged["cases"]) == (2, 3)
    assert not (walk.folder / "shiftright.lock").exists()


def test_what_cannot_go_on_is_an_error_with_the_way_out(walk: Walk) -> None:
    code, found = walk.eval("--variant", "perfct")
    assert code == 3
    assert found["error"]["code"] == "usage"
    assert "perfect" in found["error"]["hint"]
    (walk.folder / "spec.yaml").write_text(
        SPEC.replace("CASES", "cases.jsonl").replace("max_drop", "max_dorp")
    )
    code, found = walk.eval("--variant", "perfect")
    assert code == 3
    assert (found["error"]["code"], found["error"]["line"]) == ("spec", 14)
    assert "max_drop" in found["error"]["hint"]


def test_the_terminal_shows_the_answers_first_and_hostile_output_as_text(walk: Walk) -> None:
    done = walk.run("eval", "echo", "--variant", "crazy")
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert lines[1].startswith("MERGE?")
    assert lines[2].startswith("RELEASE?")
    assert "␛[31m" in done.stdout
    assert "⟨U+202E⟩" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert max(len(line) for line in lines) <= 100


def test_everything_after_an_eval(walk: Walk) -> None:
    _, found = walk.eval("--variant", "worse")
    run = found["run_id"]
    runs = json.loads(walk.run("runs", "--json").stdout)["runs"]
    assert [item["id"] for item in runs] == [run]
    assert (runs[0]["verdict"], runs[0]["merge"]) == ("fail", "no")
    shown = json.loads(walk.run("show", run, "--json").stdout)
    assert {case["change"] for case in shown["cases"]} >= {"broke", "passes"}
    assert shown["slices"]
    step = json.loads(walk.run("next", "--json").stdout)
    assert step["command"].startswith("shiftright eval echo --variant")
    done = walk.run("report", run, "--html", "r.html", "--markdown", "--junit", "j.xml")
    assert done.returncode == 0
    assert done.stdout.startswith("### echo: worse against old")
    assert (walk.folder / "r.html").stat().st_size > 10_000
    assert (walk.folder / "j.xml").read_text().startswith("<?xml")
