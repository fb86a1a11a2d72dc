from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from projects import CODE, SPEC, Project, outage

from shiftright.errors import (
    BaselineStale,
    DatasetChanged,
    SpecError,
    StoreError,
    UsageError,
)
from shiftright.evals.evaluate import evaluate
from shiftright.evals.looks import look
from shiftright.evals.options import EvalRun, Options, Selection
from shiftright.evals.planning import plan_feature


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "p")


def test_an_equal_variant_passes_and_a_worse_one_fails(project: Project) -> None:
    same, worse = project.evaluate("same"), project.evaluate("worse")
    assert (same.verdict.verdict, same.verdict.merge) == ("pass", "yes")
    assert (worse.verdict.verdict, worse.verdict.merge) == ("fail", "no")
    assert same.calls.made < 400
    assert same.calls.limit is not None
    assert same.calls.limit <= same.calls.made


def test_a_decided_question_costs_nothing_whatever_is_asked(project: Project) -> None:
    first = project.evaluate("same")
    calls = len(project.calls)
    again = project.evaluate("same", repeats=3, max_calls=1, concurrency=2)
    assert again.stored
    assert again.verdict == first.verdict
    assert (again.calls.made, again.calls.baseline_made) == (0, 0)
    assert len(project.calls) == calls


def test_a_fresh_machine_remembers_through_the_lock(project: Project) -> None:
    first = project.evaluate("same")
    calls = len(project.calls)
    project.forget_records()
    assert project.evaluate("same").verdict == first.verdict
    assert len(project.calls) == calls
    worse = project.evaluate("worse")
    assert worse.verdict.verdict == "fail"
    # the lock has the baseline's scores of the cases used before; a twentieth of them is asked again
    known = first.calls.made
    assert worse.calls.baseline_made <= max(worse.calls.made - known, 0) + 0.3 * known


def test_renaming_a_variant_is_no_new_attempt(project: Project) -> None:
    first = project.evaluate("worse")
    (project.folder / "spec.yaml").write_text(SPEC.replace("worse:", "renamed:"))
    renamed = project.evaluate("renamed")
    assert renamed.stored
    assert renamed.verdict == first.verdict


def test_another_attempt_is_numbered_stricter_and_asks_anew(project: Project) -> None:
    first = project.evaluate("same")
    second = project.evaluate("same", new_decision=True)
    assert second.attempt == 2
    assert second.calls.made > 0
    assert second.verdict.checks[0].ship_at > 6 * first.verdict.checks[0].ship_at
    assert any("attempt 2" in note for note in second.notes)


def test_the_verdict_does_not_depend_on_the_order_of_completion(tmp_path: Path) -> None:
    slow = CODE.replace("import hashlib", "import asyncio, hashlib, random").replace(
        "    share =", "    await asyncio.sleep(random.random() / 100)\n    share ="
    )
    one = Project(tmp_path / "one", code=slow).evaluate("same", concurrency=1)
    many = Project(tmp_path / "many", code=slow).evaluate("same", concurrency=40)
    assert many.verdict == one.verdict


def test_a_reached_cap_keeps_what_was_done_and_goes_on(project: Project) -> None:
    capped = project.evaluate("same", max_calls=60)
    assert capped.verdict.verdict == "inconclusive"
    assert "cap of 60 calls" in capped.verdict.reasons[0]
    assert capped.calls.made + capped.calls.baseline_made == 60
    rest = project.evaluate("same")
    whole = Project(project.folder.parent / "whole").evaluate("same")
    assert rest.verdict == whole.verdict
    assert len(project.calls) == len(set(project.calls))


def test_an_interrupted_run_goes_on_without_paying_twice(project: Project) -> None:
    async def interrupted() -> None:
        with project.records() as records:
            task = asyncio.create_task(
                evaluate("echo", project.settings, records, Options(variant="same", concurrency=4))
            )
            while len(project.calls) < 50:  # noqa: ASYNC110 - the feature's own file is the only witness
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(interrupted())
    with project.records() as records:
        assert records.runs.list("echo")[0].status == "stopped"
    assert project.evaluate("same").verdict.verdict == "pass"
    assert len(project.calls) == len(set(project.calls))


def test_a_small_suite_is_undecided_until_cases_are_added(tmp_path: Path) -> None:
    project = Project(tmp_path, cases=30)
    small = project.evaluate("same")
    assert small.verdict.verdict == "inconclusive"
    assert "your 30 cases resolve" in small.verdict.reasons[0]
    again = project.evaluate("same")
    assert (again.verdict, again.calls.made) == (small.verdict, 0)
    project.write_cases([project.case(i) for i in range(400)])
    grown = project.evaluate("same")
    assert grown.verdict.verdict == "pass"
    assert grown.seed == small.seed
    assert len(project.calls) == len(set(project.calls))


def test_only_changed_cases_are_run_again(tmp_path: Path) -> None:
    project = Project(tmp_path, cases=30)
    project.evaluate("same")
    before = len(project.calls)
    project.write_cases([project.case(i, **({"input": "changed 7"} if i == 7 else {})) for i in range(30)])
    changed = project.evaluate("same")
    assert changed.calls.made == 1
    assert changed.calls.baseline_made <= 1 + 6  # a twentieth of the remembered baseline is asked again
    assert len(project.calls) == before + 1 + changed.calls.baseline_made


def test_cases_that_change_under_a_run_stop_it_and_it_can_be_resumed(tmp_path: Path) -> None:
    project = Project(tmp_path)
    code = CODE.replace(
        "    return",
        "    CALLS.with_name('cases.jsonl').write_text('{\"input\": \"new\"}')\n    return",
    )
    (project.folder / "echo.py").write_text(code)
    with pytest.raises(DatasetChanged) as stopped:
        project.evaluate("perfect", suite_mode=True)
    assert "run the command again" in (stopped.value.hint or "").lower()


def test_two_evals_of_one_decision_at_once(project: Project) -> None:
    slow = CODE.replace("    share =", "    import asyncio\n    await asyncio.sleep(0.02)\n    share =")
    (project.folder / "echo.py").write_text(slow)

    async def both() -> list[object]:
        with project.records() as one, project.records() as two:
            runs = [
                evaluate("echo", project.settings, records, Options(variant="same", concurrency=4))
                for records in (one, two)
            ]
            return await asyncio.gather(*runs, return_exceptions=True)

    found = asyncio.run(both())
    for outcome in found:
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, StoreError)
            assert "another eval is running this decision" in str(outcome)
    assert project.evaluate("same").stored
    assert len(project.calls) == len(set(project.calls))


def test_a_dead_candidate_is_neither_quick_nor_free(tmp_path: Path) -> None:
    spec = SPEC[: SPEC.index("checks:")] + (
        "checks:\n  latency: {p95_at_most: 2 s}\n  cost: {mean_at_most: 0.01 USD, each_at_most: 0.02 USD}\n"
    )
    project = Project(tmp_path, spec=spec)
    outage(project, "same", "ValueError('dead')")
    assert project.evaluate("same").verdict.verdict == "fail"


def test_repeats_are_frozen_and_a_later_attempt_asks_anew(project: Project) -> None:
    first = project.evaluate("same", repeats=2, max_calls=40)
    run = project.evaluate("same", repeats=4)
    assert any("the candidate runs 2 times a case, as when this decision began" in note for note in run.notes)
    assert first.calls.made + run.calls.made >= 2 * run.verdict.checks[0].n
    later = project.evaluate("same", repeats=1, new_decision=True)
    assert later.calls.made >= later.verdict.checks[0].n


def test_harm_once_proven_stays_proven_on_these_cases(project: Project) -> None:
    assert project.evaluate("worse").verdict.merge == "no"
    for _ in range(4):
        again = project.evaluate("worse", new_decision=True)
        assert again.verdict.merge == "no"


def test_a_deleted_lock_is_written_again_and_an_edited_one_is_refused(project: Project) -> None:
    first = project.evaluate("worse")
    lock = project.folder / "shiftright.lock"
    text = lock.read_text()
    lock.unlink()
    assert project.evaluate("worse").stored
    assert '"decision"' in lock.read_text()
    project.forget_records()
    lock.write_text(
        text.replace('"verdict":"fail"', '"verdict":"pass"').replace('"merge":"no"', '"merge":"yes"')
    )
    with pytest.raises(StoreError, match="its own scores say fail"):
        project.evaluate("worse")
    lock.write_text(text)
    assert project.evaluate("worse").verdict == first.verdict


def test_a_cap_loses_nothing_that_was_under_way(tmp_path: Path) -> None:
    slow = CODE.replace("    share =", "    import asyncio\n    await asyncio.sleep(0.01)\n    share =")
    project = Project(tmp_path, code=slow)
    for cap in (20, 40, 30):
        project.evaluate("same", max_calls=cap, concurrency=8)
    assert len(project.calls) == len(set(project.calls)) == 90


def test_other_decisions_on_the_same_cases_are_said_with_their_own_rates(project: Project) -> None:
    project.evaluate("same")
    first = project.evaluate("worse")
    assert _others(first) == (
        "1 other decision (other code, contract or variant) used some of these cases: "
        "all together, this one included, ship wrongly with at most 10 %"
    )
    # a later attempt is stricter, and adds less: 5 % * 6 / (4 pi^2) = 0.8 %
    project.evaluate("same", new_decision=True)
    assert "at most 10.8 %" in _others(project.evaluate("worse"))
    assert "at most 15.8 %" in _others(project.evaluate("perfect"))
    spec = (project.folder / "spec.yaml").read_text()
    (project.folder / "spec.yaml").write_text(spec + "confidence: {wrong_ship: 20%}\n")
    assert "at most 35.8 %" in _others(project.evaluate("worse"))


def _others(run: EvalRun) -> str:
    return next(note for note in run.notes if "other decision" in note)


def test_harm_to_the_population_is_said_and_kept_in_suite_mode(project: Project) -> None:
    assert project.evaluate("worse").verdict.merge == "no"
    suite = project.evaluate("worse", suite_mode=True)
    assert suite.verdict.merge == "no"
    assert "the same in population mode, which is another question" in _others(suite)
    assert "other code" not in _others(suite)


def test_suite_mode_asks_about_exactly_these_cases(tmp_path: Path) -> None:
    """Decided on a few easy cases, then many are added on which the candidate is hopeless."""
    project = Project(tmp_path, cases=4)
    easy = project.evaluate("perfect", suite_mode=True)
    assert easy.verdict.verdict == "pass"
    code = CODE.replace("return ", "return 'wrong' if settings['flip'] == 0 and len(text) > 7 else ")
    (tmp_path / "echo.py").write_text(code)
    few = project.evaluate("perfect", suite_mode=True)
    assert few.verdict.verdict == "pass"
    project.write_cases([project.case(i) for i in range(300)])
    many = project.evaluate("perfect", suite_mode=True)
    assert (many.verdict.verdict, many.stored, many.attempt) == ("fail", False, 1)
    assert any("earlier decision" in note for note in many.notes)


def test_a_feature_that_fails_scores_zero_and_the_run_goes_on(tmp_path: Path) -> None:
    code = CODE.replace(
        "    share =",
        "    if settings['flip'] == 0.45 and '3' in text:\n        raise KeyError(text)\n    share =",
    )
    run = Project(tmp_path, code=code).evaluate("worse")
    assert run.verdict.verdict == "fail"


# The baseline is another one once calls.db is there; differences small enough that the decision takes many cases.
CHANGING = CODE.replace(
    "    share =",
    "    if settings.name == 'old' and CALLS.with_suffix('.db').exists():\n        return 'changed'\n    share =",
)
TELLING = SPEC.replace("10 points", "1 points").replace("flip: 0.0}", "flip: 0.1003}")


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_that_was_set_has_no_say(tmp_path: Path, years: int) -> None:
    """Rows of the future are what stands in the records after a clock goes back."""
    project = Project(tmp_path, code=CHANGING, cases=2_000)
    (project.folder / "spec.yaml").write_text(TELLING)
    first = project.evaluate("same", max_calls=400)
    asked = project.calls
    set_back(project, years)
    second = project.evaluate("same")
    assert second.verdict.checks[0].n > first.verdict.checks[0].n
    assert project.calls[: len(asked)] == asked
    assert len(project.calls) == len(set(project.calls)), "nothing is asked again"
    with project.records() as records:
        assert [run.id for run in records.runs.list()] == [second.run_id, first.run_id]
    set_back(project, years)
    (project.folder / "calls.db").touch()
    with pytest.raises(BaselineStale, match="no longer scores on right"):
        project.evaluate("perfect")


def set_back(project: Project, years: int) -> None:
    """As if everything recorded so far had been written ``years`` later than it was."""
    columns = {"runs": ("started_at", "ended_at"), "answers": ("created_at",)}
    columns |= {"decisions": ("created_at", "updated_at"), "model_cache": ("created_at",)}
    with closing(sqlite3.connect(project.folder / ".shiftright" / "records.db")) as database, database:
        for table, names in columns.items():
            for name in names:
                database.execute(f"UPDATE {table} SET {name} = {name} + ?", (years * 365 * 86_400,))


def test_repeats_make_one_unit_of_a_case(tmp_path: Path) -> None:
    project = Project(tmp_path, cases=40)
    run = project.evaluate("same", repeats=3)
    assert run.calls.made == 120
    assert run.verdict.checks[0].n == 40


def test_suite_mode_always_decides_and_says_what_it_is(tmp_path: Path) -> None:
    run = Project(tmp_path, cases=40).evaluate("same", suite_mode=True)
    assert run.verdict.verdict in ("pass", "fail")
    assert run.estimand == "suite"
    assert any("suite mode" in note for note in run.notes)


def test_the_baseline_is_the_merge_base_when_none_is_named(tmp_path: Path) -> None:
    spec = "feature: echo\nrun: echo:echo\ncases: cases.jsonl\nchecks:\n  right: {score: exact, max_drop: 10 points}\n"
    plain = "def echo(text: str) -> str:\n    return text\n"
    project = Project(tmp_path / "p", spec=spec, code=plain, cases=200)

    def git(*words: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *identity, *words], cwd=project.folder, check=True, capture_output=True)

    git("init", "-b", "main")
    git("add", "spec.yaml", "echo.py", "cases.jsonl")
    git("commit", "-m", "first")
    git("checkout", "-b", "change")
    (project.folder / "echo.py").write_text("def echo(text: str) -> str:\n    return 'broken'\n")
    broken = project.evaluate()
    assert (broken.baseline, broken.verdict.verdict, broken.verdict.merge) == ("merge-base", "fail", "no")
    (project.folder / "echo.py").write_text("def echo(text: str) -> str:\n    return str(text)\n")
    assert project.evaluate().verdict.verdict == "pass"


def test_without_a_baseline_and_without_git_the_way_out_is_said(tmp_path: Path) -> None:
    project = Project(tmp_path, spec=SPEC.replace("baseline: old\n", ""))
    with pytest.raises(SpecError, match="no baseline") as refused:
        project.evaluate("same")
    assert "--baseline" in (refused.value.hint or "")


def test_a_variant_has_to_be_chosen_among_several(project: Project) -> None:
    with pytest.raises(UsageError, match="several variants"):
        project.evaluate()
    with pytest.raises(UsageError, match="no variant 'sane'") as refused:
        project.evaluate("sane")
    assert "same" in (refused.value.hint or "")


def test_a_look_runs_some_cases_and_decides_nothing(project: Project) -> None:
    async def looked(selection: Selection) -> int:
        with project.records() as records:
            found = await look("echo", project.settings, records, selection, Options(variant="same"))
        assert {row.verdict for row in found.checks} == {"inconclusive"}
        return found.cases

    assert asyncio.run(looked(Selection(limit=7))) == 7
    assert asyncio.run(looked(Selection(tag="odd"))) == 200
    assert asyncio.run(looked(Selection(case_id="c3"))) == 1
    with pytest.raises(UsageError, match="no case matches"):
        asyncio.run(looked(Selection(tag="none")))
    assert not (project.folder / "shiftright.lock").exists()


def test_planning_runs_the_baseline_twice_and_freezes_its_sample(tmp_path: Path) -> None:
    spec = SPEC.replace("cases: cases.jsonl", "cases: {gate: cases.jsonl, dev: dev.jsonl}")
    code = CODE.replace(
        "{text}{settings['flip']}", "{text}{settings['flip']}{random.random() if 'hello 1' in text else 0}"
    )
    project = Project(tmp_path, spec=spec, code=code.replace("import hashlib", "import hashlib, random"))
    project.write_cases([project.case(i) for i in range(1000, 1080)], "dev.jsonl")

    async def planned() -> int:
        with project.records() as records:
            return (await plan_feature("echo", project.settings, records)).sample

    assert asyncio.run(planned()) == 80
    calls = len(project.calls)
    assert calls == 160
    assert asyncio.run(planned()) == 80
    assert len(project.calls) == calls
    assert project.evaluate("same").verdict.verdict in ("pass", "inconclusive")


def test_an_unknown_price_is_not_a_cost_of_nothing(tmp_path: Path) -> None:
    spec = SPEC + "  cost: {mean_at_most: 0.001 USD, each_at_most: 0.01 USD}\n"
    run = Project(tmp_path, spec=spec).evaluate("same")
    assert run.cost_usd == 0.0  # plain code makes no model call: its cost is known


def test_prompts_that_contain_gate_cases_are_named(tmp_path: Path) -> None:
    spec = SPEC.replace("same: {flip: 0.1001}", "same: {flip: 0.1001, prompt: prompt.md}")
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "prompt.md").write_text(
        "Answer like this: a rather long gate case text number one. {{ input }}"
    )
    project = Project(folder, spec=spec, cases=100)
    project.write_cases(
        [
            *(project.case(i) for i in range(99)),
            project.case(99, input="a rather long gate case text number one"),
        ]
    )
    assert any("contains the text of gate cases (c99)" in note for note in project.evaluate("same").notes)


def test_random_pools_hand_over_in_order() -> None:
    from shiftright.evals.pool import OrderedPool

    async def run(seed: int, enough: int) -> tuple[list[int], list[int]]:
        used: list[int] = []
        surplus: list[int] = []
        values = random.Random(seed)

        async def work(x: int) -> int:
            for _ in range(values.randrange(5)):
                await asyncio.sleep(0)
            return x

        def use(xs: object) -> bool:
            used.extend(xs)  # type: ignore[arg-type]
            return len(used) >= enough

        await OrderedPool(work, use, surplus.append, concurrency=7).run(range(100))
        return used, surplus

    for seed in range(20):
        used, surplus = asyncio.run(run(seed, 40 + seed))
        assert used == list(range(len(used)))
        assert not set(used) & set(surplus)
        assert len(used) + len(surplus) <= 100
