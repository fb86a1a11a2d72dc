"""``aa``: gates on runs in which nothing changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import pytest
from projects import Project
from recorded_rows import coin, run

from shiftright.errors import UsageError
from shiftright.evals.compare import AaReport, aa, aa_feature
from shiftright.evals.planning import plan_feature

EXAMPLES = Path(__file__).parents[2] / "src" / "shiftright" / "examples" / "compare"


def flips(report: AaReport) -> dict[str, float]:
    return {row.gate: row.flips for row in report.gates}


def test_the_shipped_runs() -> None:
    files = sorted(EXAMPLES.glob("unchanged-trial-*.jsonl"))
    found = aa(*files)
    naive, ours = found.gates[:-1], found.gates[-1]
    assert [row.ours for row in found.gates] == [False] * len(naive) + [True]
    assert found.pairs == len(files) * (len(files) - 1)
    assert ours.flips <= 0.05
    assert max(row.flips for row in naive) > 0.3
    assert found.sentence.startswith("With nothing changed, a gate that is red at any drop flips ")
    assert found.sentence in repr(found)


def test_ours_stays_below_its_rate_where_naive_gates_flip() -> None:
    rng = np.random.default_rng(3)
    found = aa(*(run(coin(rng, 200, 0.8)) for _ in range(3)), replications=200)
    rates = flips(found)
    assert 0.35 < rates["the mean is lower at all"] < 0.6
    assert rates["a case that passed now fails"] == 1.0
    assert found.gates[-1].flips <= 0.05
    assert (found.cases, found.runs, found.pairs) == (200, ("run 1", "run 2", "run 3"), 6)


def test_runs_that_do_not_vary_never_flip() -> None:
    rows = run([1.0, 0.0] * 20)
    found = aa(rows, rows, replications=50)
    assert set(flips(found).values()) == {0.0}
    assert found.flaky == ()
    assert found.noise[0].within == 0.0


def test_repeats_in_one_file_are_runs() -> None:
    rng = np.random.default_rng(1)
    rows = [msgspec.structs.replace(row, repeat=k) for k in range(3) for row in run(coin(rng, 30, 0.7))]
    found = aa(rows, replications=50)
    assert found.runs == ("run 1 #1", "run 1 #2", "run 1 #3")
    assert (found.cases, found.pairs) == (30, 6)
    assert found.flaky
    assert all(0 < case.passes < case.runs == 3 for case in found.flaky)


def test_one_run_shows_no_noise() -> None:
    with pytest.raises(UsageError) as caught:
        aa(run([1.0] * 30))
    assert "shiftright aa FIRST SECOND" in str(caught.value)
    with pytest.raises(UsageError, match="which runs"):
        aa()


def test_cases_that_ran_once_or_are_not_in_every_file_are_counted() -> None:
    first, second = run([1.0, 0.0] * 10), run([1.0, 1.0] * 10)[2:]
    assert "2 cases not in every file: left out" in aa(first, second, replications=50).notes
    again = [*first, *(msgspec.structs.replace(row, repeat=1) for row in first[:15])]
    found = aa(again, replications=50)
    assert found.cases == 15
    assert "5 of 20 cases ran only once: left out" in found.notes


def test_groups_are_drawn_whole() -> None:
    """Ten documents of ten cases each that fail together: our gate still holds its rate."""
    rng = np.random.default_rng(8)
    runs = [
        [
            msgspec.structs.replace(row, group=f"g{i // 10}")
            for i, row in enumerate(run(np.repeat(coin(rng, 20, 0.6), 10)))
        ]
        for _ in range(2)
    ]
    found = aa(*runs, replications=200)
    assert found.gates[-1].flips <= 0.05


def test_json_is_finite() -> None:
    rows = run([1.0, 0.0] * 20)
    decoded = msgspec.json.decode(msgspec.json.encode(aa(rows, run([0.0, 1.0] * 20), replications=50)))
    assert decoded["margins"] == {"score": 0.03}
    assert "Infinity" not in str(decoded)
    assert decoded["metrics"] == ["score"]


# Right three times in four, at random: two answers to one text differ.
FLAKY = """\
import random

async def echo(text: str) -> str:
    return text if random.random() < 0.75 else "wrong"

def wrong(output, expected):
    return output == "wrong"
"""
SPEC = """\
feature: echo
run: echo:echo
baseline: old
variants:
  old: {flip: 0}
  new: {flip: 1}
cases: {dev: dev.jsonl, gate: cases.jsonl}
checks:
  right: {score: exact, max_drop: 10 points}
  wrong: {score: "echo:wrong", at_most: 40%}
  polite: {judge: polite.md, at_least: 90%}
"""


def feature_report(project: Project) -> AaReport:
    async def report() -> AaReport:
        with project.records() as records:
            return await aa_feature("echo", project.settings, records, replications=60)

    return asyncio.run(report())


def test_a_features_stored_repeats(tmp_path: Path) -> None:
    project = Project(tmp_path, SPEC, FLAKY, cases=10)
    project.write_cases([project.case(i) for i in range(100, 160)], "dev.jsonl")
    (tmp_path / "polite.md").write_text("Is it polite?")
    with pytest.raises(UsageError) as caught:
        feature_report(project)
    assert "shiftright plan echo" in str(caught.value)
    without_judge = SPEC.replace("  polite: {judge: polite.md, at_least: 90%}\n", "")
    (tmp_path / "spec.yaml").write_text(without_judge)

    async def plan() -> None:
        with project.records() as records:
            await plan_feature("echo", project.settings, records)

    asyncio.run(plan())
    (tmp_path / "spec.yaml").write_text(SPEC)
    found = feature_report(project)
    assert (found.subject, found.runs, found.cases) == ("echo (old)", ("old #1", "old #2"), 60)
    assert found.metrics == ("right", "wrong")
    assert found.margins == {"right": pytest.approx(0.10), "wrong": pytest.approx(0.03)}
    assert found.noise[0].mean == pytest.approx(found.noise[1].mean)
    assert found.noise[0].within > 0.05
    assert found.gates[-1].flips <= 0.1
    assert "polite: a judge, left out" in found.notes
    assert "wrong has no max_drop: 3 points taken" in found.notes
