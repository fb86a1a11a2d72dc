"""A pull request end to end: what is touched, what is compared with what, and what nobody gets around."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from repositories import CASES, SPEC, Repository, rows

from shiftright.errors import SpecError
from shiftright.ship.comment import LONGEST, MARKER, to_junit, to_markdown
from shiftright.ship.gate import UNCHANGED

HASTY = {"prompt.md": "Say it back quickly."}


def test_nothing_touched_costs_nothing_and_is_one_line(repository: Repository) -> None:
    repository.branch("docs", **{"README.md": "words"})
    # the contract's folder is the whole repository, so a README concerns it; a change of nothing does not
    repository.git("switch", "-q", "main")
    done = repository.run("gate")
    assert (done.returncode, done.stdout) == (
        0,
        "merge? yes. No feature is touched: nothing was evaluated.\n",
    )
    assert not (repository.folder / ".shiftright" / "records.db").exists()
    assert not repository.calls


def test_a_file_that_means_nothing_costs_nothing(repository: Repository) -> None:
    repository.branch("docs", **{"README.md": "words"})
    (feature,) = repository.gate().features
    assert [each.reasons for each in feature.variants] == [(UNCHANGED,), (UNCHANGED,)]
    assert (feature.merge, feature.verdict, feature.files) == ("yes", "pass", ("README.md",))
    assert not repository.calls


def test_a_harmful_prompt_is_blocked_on_a_fresh_runner(repository: Repository, tmp_path: Path) -> None:
    repository.branch("harm", **HASTY)
    runner = repository.clone(tmp_path / "runner")
    out = tmp_path / "out"
    out.mkdir()
    done = runner.run("gate", "--json", "--markdown", str(out / "c.md"), "--junit", str(out / "j.xml"))
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["merge"], told["verdict"]) == ("no", "fail")
    (feature,) = told["features"]
    assert (feature["feature"], feature["merge"], feature["verdict"]) == ("echo", "no", "fail")
    assert 0 < feature["calls"]["made"] < CASES
    comment = (out / "c.md").read_text()
    assert comment.splitlines()[0] == MARKER
    assert "### Merge? ❌ no · Release? ❌ fail" in comment
    assert "a loss is proven" in comment
    assert "cases broke" in comment
    assert "is touched by prompt" in comment
    show = runner.run("show", feature["variants"][0]["run_id"])
    assert f"repeat it: shiftright gate --base {told['base'][:12]}" in " ".join(show.stdout.split())
    suite = ElementTree.fromstring((out / "j.xml").read_text())
    assert suite.find("testsuite[@name='echo.plain']/testcase[@name='merge']/failure") is not None


def test_a_remark_costs_nothing_and_a_refactoring_passes(repository: Repository) -> None:
    code = (repository.folder / "echo.py").read_text()
    repository.branch("remark", **{"echo.py": "# A remark.\n" + code})
    assert repository.gate().merge == "yes"
    assert not repository.calls
    repository.branch("refactoring", **{"echo.py": code.replace("hasty", "in_haste")})
    found = repository.gate()
    assert (found.merge, found.verdict) == ("yes", "pass")
    assert found.features[0].calls.made


def test_a_decision_is_not_made_twice(repository: Repository, tmp_path: Path) -> None:
    repository.branch("harm", **HASTY)
    assert repository.gate().merge == "no"
    repository.commit("the lock")
    repository.forget_calls()
    runner = repository.clone(tmp_path / "runner")
    again = runner.gate()
    assert (again.merge, again.verdict) == ("no", "fail")
    assert again.features[0].variants[0].stored
    assert not repository.calls


def test_a_refusal_that_is_taken_out_of_the_lock_still_refuses(
    repository: Repository, tmp_path: Path
) -> None:
    repository.branch("harm", **HASTY)
    assert repository.gate().merge == "no"
    repository.commit("the lock")
    repository.git("rm", "-q", "shiftright.lock")
    repository.commit("forget it", **{"shared.py": 'WRONG = "wrong"  # the same\n'})
    repository.forget_calls()
    runner = repository.clone(tmp_path / "runner")
    again = runner.gate()
    assert again.merge == "no"
    assert again.features[0].variants[0].stored
    assert not repository.calls
    assert "shiftright.lock" in runner.git("status", "--porcelain")


DICE = """\
import os
import random

from shiftright import variant


def echo(text: str) -> str:
    variant("echo")
    with open(os.environ["ECHO_CALLS"], "a") as calls:
        calls.write("call\\n")
    return text if random.random() > SHARE else "wrong"
"""


def test_who_is_unlucky_cannot_try_again(repository: Repository, tmp_path: Path) -> None:
    """Another job of the same pull request has what the CI's cache kept: the records, and no lock."""
    repository.commit("dice", **{"echo.py": DICE.replace("SHARE", "0.05"), "must.jsonl": rows(1, "m")})
    spec = SPEC.replace("cases: {gate: gate.jsonl, must: must.jsonl}", "cases: gate.jsonl")
    repository.commit("no must cases", **{"spec.yaml": spec})
    repository.branch("harm", **{"echo.py": DICE.replace("SHARE", "0.5")})
    first = repository.clone(tmp_path / "first")
    assert first.gate().merge == "no"
    second = repository.clone(tmp_path / "second")
    (second.folder / ".shiftright").mkdir()
    shutil.copy(first.folder / ".shiftright" / "records.db", second.folder / ".shiftright" / "records.db")
    repository.forget_calls()
    assert second.gate().merge == "no"
    assert not repository.calls


def test_a_project_may_be_a_folder_of_the_checkout(repository: Repository) -> None:
    names = ("spec.yaml", "echo.py", "shared.py", "prompt.md", "other.md", "gate.jsonl", "must.jsonl")
    (repository.folder / "app").mkdir()
    repository.git("mv", *names, "app")
    repository.commit("a folder", **{"app/pyproject.toml": ""})
    repository.branch("harm", **{"app/prompt.md": "Say it back quickly."})
    app = Repository(repository.folder / "app", repository.counted)
    found = app.gate()
    assert (found.merge, found.features[0].files) == ("no", ("app/prompt.md",))
    app.commit("the lock")
    app.git("rm", "-q", "shiftright.lock")
    app.commit("forget it")
    app.forget_records()
    app.forget_calls()
    assert app.gate().merge == "no"
    assert not app.calls


def test_a_failed_must_case_is_no(repository: Repository) -> None:
    repository.branch(
        "must", **{"must.jsonl": rows(1, "m") + '{"id": "m9", "input": "hello 9", "expected": "?"}\n'}
    )
    found = repository.gate()
    assert found.merge == "no"
    assert "m9" in found.features[0].reasons[0]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"spec.yaml": SPEC.replace("5 points", "20 points")}, "max_drop: 5 points → max_drop: 20 points"),
        ({"spec.yaml": SPEC.replace(", sign_off: [legal]", "")}, "owner.sign_off: removed: legal"),
        ({"spec.yaml": SPEC + "confidence: {wrong_ship: 20%}\n"}, "wrong_ship"),
        ({"must.jsonl": rows(1, "n")}, "cases.must: removed or rewritten: 1 case (m0)"),
        ({"gate.jsonl": rows(CASES - 1)}, f"cases.gate: removed or rewritten: 1 case (c{CASES - 1})"),
    ],
)
def test_an_easier_exam_needs_its_owner(repository: Repository, files: dict[str, str], said: str) -> None:
    repository.branch("easier", **files)
    (feature,) = repository.gate().features
    assert feature.merge == "no"
    assert said in feature.reasons[0]
    assert "gate \\-\\-sign\\-off NAME" in to_markdown(repository.gate(), {})
    assert not repository.calls
    agreed = repository.gate(sign_off="Ada")
    assert agreed.merge == "yes"
    assert agreed.features[0].signed_by == "Ada"
    assert "agreed to by Ada" in to_markdown(agreed, {})


def test_a_stricter_contract_and_more_cases_need_nobody(repository: Repository) -> None:
    repository.branch("stricter", **{"spec.yaml": SPEC.replace("5 points", "4 points")})
    assert repository.gate().features[0].looser == ()
    repository.branch("more", **{"gate.jsonl": rows(CASES + 5)})
    assert repository.gate().features[0].looser == ()


def test_a_contract_cannot_be_thrown_away(repository: Repository) -> None:
    repository.git("switch", "-q", "-c", "away", "main")
    repository.git("rm", "-q", "spec.yaml")
    repository.commit("away")
    found = repository.gate()
    assert (found.merge, found.features[0].feature) == ("no", "echo")
    assert "is removed" in to_markdown(found, {})
    assert repository.gate(sign_off="Ada").merge == "yes"


def test_a_contract_may_move(repository: Repository) -> None:
    repository.git("switch", "-q", "-c", "moved", "main")
    (repository.folder / "features").mkdir()
    names = ("spec.yaml", "echo.py", "shared.py", "prompt.md", "other.md", "gate.jsonl", "must.jsonl")
    repository.git("mv", *names, "features")
    repository.commit("moved", **{"features/prompt.md": "Say it back quickly."})
    assert repository.gate().merge == "no"


def test_each_touched_variant_meets_its_former_self(repository: Repository) -> None:
    repository.branch("other", **{"other.md": "Say it again quickly."})
    plain, other = repository.gate().features[0].variants
    assert plain.reasons == (UNCHANGED,)
    assert (other.variant, other.before, other.merge) == ("other", "other", "no")


def test_what_serves_meets_what_served(repository: Repository) -> None:
    repository.branch(
        "switched",
        **{"spec.yaml": SPEC.replace("baseline: plain", "baseline: other"), "other.md": "Again, quickly."},
    )
    plain, other = repository.gate().features[0].variants
    assert plain.reasons == (UNCHANGED,)
    assert (other.variant, other.before, other.merge) == ("other", "plain", "no")


def test_a_new_variant_serves_nobody_yet(repository: Repository) -> None:
    new = SPEC.replace("  other:", "  third: {prompt: third.md}\n  other:")
    repository.branch("third", **{"spec.yaml": new, "third.md": "quickly"})
    third = repository.gate().features[0].variants[1]
    assert (third.variant, third.merge, third.verdict) == ("third", "yes", "inconclusive")
    assert "shiftright eval echo --variant third" in third.reasons[0]
    assert not repository.calls


def test_a_new_feature_is_no_harm(repository: Repository) -> None:
    repository.branch(
        "second",
        **{
            "second/spec.yaml": SPEC.replace("feature: echo", "feature: second").replace(
                "echo:echo", "two:run"
            ),
            "second/two.py": "def run(text: str) -> str:\n    return text\n",
            "second/prompt.md": "x",
            "second/other.md": "x",
            "second/gate.jsonl": rows(5),
            "second/must.jsonl": rows(1, "m"),
        },
    )
    (feature,) = repository.gate().features
    assert (feature.feature, feature.merge, feature.verdict) == ("second", "yes", "inconclusive")


def test_broken_code_is_an_error_and_says_where(repository: Repository) -> None:
    repository.branch("broken", **{"echo.py": "def echo(text: str -> str:\n"})
    done = repository.run("gate", "--json")
    assert done.returncode == 3
    (feature,) = json.loads(done.stdout)["features"]
    assert feature["verdict"] == "error"
    assert "echo.py" in feature["reasons"][0]


def test_a_release_that_is_required(repository: Repository) -> None:
    few = SPEC.replace("gate: gate.jsonl", "gate: few.jsonl")
    repository.commit("few cases", **{"spec.yaml": few, "few.jsonl": rows(8)})
    code = (repository.folder / "echo.py").read_text()
    repository.branch("small", **{"echo.py": code.replace("hasty", "in_haste")})
    found = repository.gate()
    assert (found.merge, found.verdict) == ("yes", "inconclusive")
    assert (found.exit_code(), found.exit_code("release")) == (0, 2)
    assert repository.run("gate", "--require", "release").returncode == 2
    assert repository.run("gate", "--require", "everything").returncode == 3


def test_a_cap_leaves_it_open(repository: Repository) -> None:
    repository.branch("harm", **HASTY)
    done = repository.run("gate", "--max-calls", "4", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["verdict"] == "inconclusive"


def test_without_a_main_line_it_says_what_is_missing(repository: Repository) -> None:
    with pytest.raises(SpecError, match="shares no history with 'nowhere'"):
        repository.gate(base="nowhere")
    with pytest.raises(SpecError, match="shares no history"):
        repository.gate(base="--output=x")
    assert not (repository.folder / "x").exists()


HOSTILE = "x` <!-- shiftright:gate --> <script>alert(1)</script> | @team [a](http://b) \u202e\n### no"


def test_nobodys_text_is_markup(repository: Repository, tmp_path: Path) -> None:
    case = {"id": HOSTILE, "input": f"hello 3 {HOSTILE}", "expected": HOSTILE}
    repository.commit("cases", **{"must.jsonl": rows(1, "m") + json.dumps(case) + "\n"})
    repository.branch("harm", **HASTY)
    out = tmp_path / "c.md"
    repository.run("gate", "--markdown", str(out))
    comment = out.read_text()
    assert comment.count(MARKER) == 1
    outside = "".join(part for i, part in enumerate(comment.split("`")) if i % 2 == 0)
    assert "<script" not in outside
    assert "@team" not in outside
    assert "\u202e" not in comment
    ElementTree.fromstring(to_junit(repository.gate()))


def test_a_comment_fits(repository: Repository) -> None:
    repository.branch("harm", **HASTY)
    found = repository.gate()
    import msgspec

    many = msgspec.structs.replace(found, features=found.features * 200)
    assert len(to_markdown(many, {})) < 2 * LONGEST


def test_a_stable_release_is_what_a_change_is_compared_with(repository: Repository) -> None:
    """Small losses, each too small to be proven, add up against the release, not against the last merge."""
    from shiftright.app import App
    from shiftright.ship import promotion, releasing

    with App.here(repository.folder) as app:
        released = releasing.release(app.settings, app.records, "echo", "plain")
        promotion.promote(app.records, "echo", released.record.digest)
    repository.commit("worse, somehow merged", **HASTY)
    code = (repository.folder / "echo.py").read_text()
    repository.branch("refactor", **{"echo.py": code.replace("hasty", "in_haste")})
    plain, other = repository.gate().features[0].variants
    assert (plain.merge, plain.baseline) == ("no", f"release {released.record.digest[:12]}")
    # the release is of another variant: this one meets itself
    assert (other.merge, other.baseline) == ("yes", "merge-base")
    repository.branch("back", **{"prompt.md": "Say it back."})
    plain, other = repository.gate().features[0].variants
    assert plain.reasons == other.reasons == (UNCHANGED,)


def test_an_owner_who_signed_the_contract_has_agreed(repository: Repository) -> None:
    from shiftright.app import App
    from shiftright.ship import promotion, releasing

    repository.branch("easier", **{"spec.yaml": SPEC.replace("5 points", "20 points")})
    assert repository.gate().merge == "no"
    with App.here(repository.folder) as app:
        releasing.release(app.settings, app.records, "echo", "plain")
        promotion.sign(app.settings, app.records, "echo", "plain", role="owner", by="Ada")
    agreed = repository.gate()
    assert (agreed.merge, agreed.features[0].signed_by) == ("yes", "Ada")
    # what was signed is the contract: cases that are gone were not part of it
    repository.commit("fewer", **{"must.jsonl": rows(1, "n")})
    assert repository.gate().merge == "no"
