"""What is frozen, with which evidence; when nothing is recorded twice; what the default baseline is."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import CONTRACT, Shop

from shiftright.core.answer import Answer, Span
from shiftright.errors import SpecError
from shiftright.store.ids import answer_id
from shiftright.store.rows import StoredAnswer


def test_a_release_has_files_code_contract_and_no_evidence_where_nobody_evaluated(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    made = shop.release("first")
    with shop.records() as records:
        kept = records.releases.get(made.record.digest)
    assert made.new
    assert (kept.feature, kept.variant, kept.run) == ("shop", "first", "shop:answer")
    assert kept.files == {"prompts/first.md": "{{ input }}"}
    assert kept.settings == {"prompt": "prompts/first.md", "marks": 1}
    assert (kept.commit, kept.snapshot, kept.splits, kept.sign_off) == ("", None, ("gate",), ("legal",))
    assert made.record.content["evidence"] is None
    assert (made.record.by, made.record.kind) == ("Ada", "release")
    assert shop.calls == 0


def test_the_same_release_with_the_same_evidence_is_recorded_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    first, again = shop.release("first"), shop.release("first")
    assert (again.new, again.record) == (False, first.record)
    shop.commit()
    committed = shop.release("first")
    assert (committed.new, committed.record.digest) == (True, first.record.digest)
    assert not shop.release("first").new
    shop.evaluate("second", baseline="first")
    shop.promote("first")
    proven = shop.release("second")
    assert proven.new
    assert not shop.release("second").new


def test_the_digest_is_of_the_content_alone(tmp_path: Path) -> None:
    one, other = Shop(tmp_path / "one"), Shop(tmp_path / "elsewhere" / "deeper")
    other.edit("spec.yaml", "feature: shop", "# a remark\n\nfeature: shop")
    other.commit()
    assert one.release("first").record.digest == other.release("first").record.digest
    other.write("prompts/first.md", "{{ input }} ")
    assert one.release("first").record.digest != other.release("first").record.digest


def test_evidence_is_the_decision_with_its_runs_data_and_cost(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    baseline = shop.promote("first")
    run = shop.evaluate("second")
    evidence = shop.release("second").standing.evidence
    assert run.baseline == f"release {baseline[:12]}"
    assert evidence is not None
    assert evidence.verdict == run.verdict
    assert evidence.verdict.verdict == "pass"
    assert (evidence.runs, evidence.calls.made) == ((run.run_id,), run.calls.made)
    assert (evidence.baseline, evidence.cost_usd, evidence.must) == (run.baseline, 0.0, None)
    assert evidence.cases > 0


def test_the_commit_is_one_that_has_it_all(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    commit = shop.commit()
    assert shop.release("first").standing.release.commit == commit
    shop.edit("shop.py", "return ctx", "return '' + ctx")
    changed = shop.release("first").standing
    assert changed.release.commit == ""
    assert any("no commit has it yet: shop.py" in note for note in changed.notes)
    assert shop.release("second").standing.release.commit == ""
    shop.commit()
    shop.write("prompts/second.md", "not committed")
    assert shop.release("first").standing.release.commit != ""


def test_the_snapshot_is_what_the_provider_said_of_the_newest_answer(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    code = shop.release("first").standing.release.code

    def answered(model: str) -> StoredAnswer:
        answer = Answer(output="x", spans=(Span("chat", attributes={"gen_ai.response.model": model}),))
        return StoredAnswer(answer_id(), "shop", code, "i", 0, "r-1", "c", answer, 0.0)

    with shop.records() as records:
        records.answers.put([answered("gpt-9-0101"), answered("gpt-9-0202")])
    assert shop.release("first").standing.release.snapshot == "gpt-9-0202"


def test_the_stable_release_is_the_default_baseline_whatever_the_files_say(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    stable = shop.promote("first")
    shop.write("prompts/first.md", "something else")
    shop.edit("spec.yaml", "prompt: prompts/first.md, marks: 1", "prompt: prompts/second.md, marks: 7")
    run = shop.evaluate("second")
    assert (run.baseline, run.verdict.verdict) == (f"release {stable[:12]}", "pass")
    worse = shop.evaluate("second", baseline="first")
    assert worse.baseline == "first"


def test_an_unchanged_candidate_against_the_stable_release_costs_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.promote("first")
    shop.evaluate("second")
    shop.promote("second")
    before = shop.calls
    again = shop.evaluate("second")
    assert (again.calls.made, again.calls.baseline_made, shop.calls) == (0, 0, before)
    assert (again.verdict.verdict, again.verdict.merge) == ("pass", "yes")


def test_a_stable_release_of_other_code_is_run_from_its_commit(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.commit()
    stable = shop.promote("first")
    shop.edit("shop.py", "return ctx", "return 'broken: ' + ctx")
    shop.commit()
    run = shop.evaluate("first")
    assert (run.baseline, run.verdict.verdict, run.verdict.merge) == (f"release {stable[:12]}", "fail", "no")


def test_a_stable_release_whose_code_is_nowhere_is_said(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.promote("first")
    shop.edit("shop.py", "return ctx", "return 'broken: ' + ctx")
    with pytest.raises(SpecError, match="no commit has it") as refused:
        shop.evaluate("first")
    assert "--baseline" in str(refused.value)
    assert any("no commit has it" in note for note in shop.release("first").standing.notes)


def test_a_looser_contract_shows(tmp_path: Path) -> None:
    must = CONTRACT.replace("cases: cases.jsonl", "cases: {gate: cases.jsonl, must: must.jsonl}")
    shop = Shop(tmp_path / "shop", must)
    shop.write("must.jsonl", '{"id": "m1", "input": "a", "expected": "a"}\n')
    shop.promote("first")
    assert shop.release("second").standing.looser == ()
    shop.write("spec.yaml", CONTRACT.replace("10 points", "20 points").replace("[legal]", "[]"))
    looser = shop.release("second").standing.looser
    assert [change.split(":")[0] for change in looser] == ["right", "cases.must", "owner.sign_off"]
