"""Are the stated error rates true? Simulated on made-up laws, on pairs of real models, and on changes that are none.

A rate passes when it is at most its nominal value + 2 standard errors. The boundary is put on the true mean of each
law, the hardest place: "wrong ship" with bad = truth, "wrong block" and power with good = truth.

    python benchmarks/error_rates.py --replications 2000
"""

from __future__ import annotations

import argparse
import csv
import gzip
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import ceil, sqrt
from pathlib import Path

import numpy as np

from decision_cost import differences, pass_rates
from heading import header
from shiftright.decisions.contract import last_asked_for_harm
from shiftright.stats import (
    CAP_FACTOR,
    BoundaryTest,
    any_case_broke,
    any_drop,
    betting_gate,
    cost_increments,
    drop_beyond,
    expected_calls_limit,
    false_red_rates,
    fixed_size,
    group_increments,
    sla_increments,
    watched_t_test,
)

ALPHA, BETA, FALSE_RED, POWER = 0.05, 0.20, 0.05, 0.75
PAIRS = Path(__file__).parent / "data" / "mmlu_pro_pairs.csv.gz"


@dataclass(frozen=True)
class Law:
    """Increments with a known mean, drawn from ``table`` with replacement, under one placing of the boundaries."""

    name: str
    table: np.ndarray
    bad: float
    good: float
    low: float
    high: float


def placed(name: str, table: np.ndarray, gap: float, low: float, high: float) -> tuple[Law, Law]:
    """The law with bad = truth, and with good = truth."""
    mean = float(table.mean())
    return Law(name, table, mean, mean + gap, low, high), Law(name, table, mean - gap, mean, low, high)


def made_up(size: int = 40_000) -> list[tuple[Law, Law]]:
    rng = np.random.default_rng(20)
    binary = (rng.random(size) < 0.85).astype(float)
    rated = rng.choice(5, (2, size), p=[0.05, 0.1, 0.2, 0.3, 0.35]) / 4
    rated[0] = np.where(rng.random(size) < 0.6, rated[1], rated[0])  # most answers of a pair are alike
    skill = rng.beta(6, 2, size)
    continuous = rng.beta(8 * skill, 8 * (1 - skill)) - rng.beta(8 * skill, 8 * (1 - skill))
    latency = sla_increments(rng.lognormal(0.0, 0.5, size), np.exp(1.645 * 0.5))
    costs = np.minimum(rng.lognormal(0.0, 1.0, size), 12.0)
    mean_cost = float(costs.mean())
    spent = cost_increments(costs, 12.0)
    return [
        placed("declared population, paired", differences(size, 0.0, rng), 0.03, -1, 1),
        placed("binary", binary, 0.05, 0, 1),
        placed("five levels, paired", rated[0] - rated[1], 0.04, -1, 1),
        placed("continuous, paired", continuous, 0.02, -1, 1),
        clustered(rng),
        placed("latency (SLA form)", latency, 0.02, 0, 1),
        placed("capped cost", spent, 0.2 * mean_cost / 12.0, -1, 0),
    ]


def clustered(rng: np.random.Generator, groups: int = 12_000) -> tuple[Law, Law]:
    """Conversations of 1 to 6 cases with one pass rate each."""
    sizes = rng.integers(1, 7, groups)
    labels = np.repeat(np.arange(groups), sizes)
    scores = (rng.random(labels.size) < rng.beta(3.2, 0.8, groups)[labels]).astype(float)
    truth = float(scores.mean())
    laws = []
    for bad, good in ((truth, truth + 0.05), (truth - 0.05, truth)):
        g = group_increments(scores, labels, bad=bad, good=good, low=0.0, high=1.0)
        laws.append(Law("clustered", g.increments, g.bad, g.good, g.low, g.high))
    return laws[0], laws[1]


def real_pairs(path: Path, wanted: int = 6) -> list[tuple[Law, Law]]:
    """Neighbours in accuracy among the models of the file, spread over the range, bounds at the truth."""
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    models = [
        name for name in rows[0] if name not in ("question_id", "category", "answer", "n_options", "src")
    ]
    right = {
        m: np.array([np.nan if r[m] == "?" else r[m] == r["answer"] for r in rows], float) for m in models
    }
    models.sort(key=lambda model: np.nanmean(right[model]))
    starts = np.unique(np.linspace(0, len(models) - 2, min(wanted, len(models) - 1)).astype(int))
    laws = []
    for k in starts:
        d = right[models[k]] - right[models[k + 1]]
        laws.append(placed(f"{models[k]} against {models[k + 1]}", d[~np.isnan(d)], 0.03, -1, 1))
    return laws


def decide(task: tuple[Law, int, int]) -> np.ndarray:
    """(law, replications, seed) to rows (shipped, blocked, calls)."""
    law, replications, seed = task
    rng = np.random.default_rng(seed)
    cap = cap_of(law)
    rows = np.empty((replications, 3))
    for row in rows:
        test = BoundaryTest(
            bad=law.bad,
            good=law.good,
            low=law.low,
            high=law.high,
            alpha=ALPHA,
            beta=BETA,
            cap=cap,
            planning=rng.choice(law.table, 200),
        )
        answer = test.update(rng.choice(law.table, cap))
        row[:] = answer == "ship", answer == "block", test.n
    return rows


def cap_of(law: Law) -> int:
    return ceil(CAP_FACTOR * fixed_size(float(law.table.var()), law.good - law.bad, alpha=ALPHA, beta=BETA))


def merge_red(task: tuple[int, float, int, int]) -> float:
    """(cases, effect, replications, seed) to the share of red pull requests, without any planning sample."""
    cases, effect, replications, seed = task
    rng = np.random.default_rng(seed)
    red = 0
    for _ in range(replications):
        release, harm = (
            BoundaryTest(bad=-0.03, good=0.0, low=-1.0, high=1.0, alpha=ALPHA, beta=beta, cap=cases)
            for beta in (BETA, FALSE_RED)
        )
        xs = differences(cases, effect, rng)
        # as a run: what has shipped is not asked for harm, what is blocked only for a while
        decision = release.update(xs)
        used = {"ship": release.n - 1, "block": last_asked_for_harm(release.n)}.get(str(decision), cases)
        red += harm.update(xs[:used]) == "block"
    return red / replications


def above(rate: float, nominal: float, replications: int) -> bool:
    return rate > nominal + 2 * sqrt(nominal * (1 - nominal) / replications)


def decision_table(
    title: str, laws: list[tuple[Law, Law]], replications: int, pool: ProcessPoolExecutor
) -> bool:
    tasks = [(law, replications, 31 * k) for k, law in enumerate([law for pair in laws for law in pair])]
    results = list(pool.map(decide, tasks))
    print(f"\n## {title}\n")
    print("| law | calls / limit | wrong ship (5 %) | wrong block (20 %) | power (75 %) | calls | cap | |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    any_broken = False
    for (_, at_good), bad_rows, good_rows in zip(laws, results[::2], results[1::2], strict=True):
        wrong_ship, wrong_block = float(bad_rows[:, 0].mean()), float(good_rows[:, 1].mean())
        power, calls = float(good_rows[:, 0].mean()), float(good_rows[:, 2].mean())
        limit = expected_calls_limit(
            at_good.table,
            bad=at_good.bad,
            good=at_good.good,
            alpha=ALPHA,
            beta=BETA,
            p_ship=power,
            p_block=min(wrong_block, BETA),
            low=at_good.low,
            high=at_good.high,
        )
        broken = (
            above(wrong_ship, ALPHA, replications)
            or above(wrong_block, BETA, replications)
            or above(1 - power, 1 - POWER, replications)
        )
        any_broken = any_broken or broken
        rates = f"{wrong_ship:.3f} | {wrong_block:.3f} | {power:.3f}"
        mark = "**broken**" if broken else "holds"
        print(
            f"| {at_good.name} | {calls / limit:.2f} | {rates} | {calls:.0f} | {cap_of(at_good)} | {mark} |"
        )
    return any_broken


def merge_table(replications: int, pool: ProcessPoolExecutor) -> bool:
    sizes, effects = (50, 200, 1000), (0.0, -0.10, -0.20)
    tasks = [(n, effect, replications, 7 * n + k) for n in sizes for k, effect in enumerate(effects)]
    red = np.array(list(pool.map(merge_red, tasks))).reshape(len(sizes), len(effects))
    print("\n## Merge: red only for proven harm (declared population, no planning sample)\n")
    print("| cases | red on a harmless change (5 %) | red at −10 points | red at −20 points | |")
    print("|---:|---:|---:|---:|---|")
    any_broken = False
    for n, row in zip(sizes, red, strict=True):
        broken = above(row[0], FALSE_RED, replications)
        any_broken = any_broken or broken
        print(f"| {n} | {row[0]:.3f} | {row[1]:.3f} | {row[2]:.3f} | {'**broken**' if broken else 'holds'} |")
    return any_broken


def flip_table(replications: int, pool: ProcessPoolExecutor) -> bool:
    rng = np.random.default_rng(3)
    runs = (rng.random((4000, 5)) < pass_rates(4000, rng)[:, None]).astype(float)
    gates = {
        "any case that passed now fails": any_case_broke,
        "mean lower at all": any_drop,
        "mean lower by more than 1 point": drop_beyond(0.01),
        "mean lower by more than 3 points": drop_beyond(0.03),
        "paired t test, looked at every 10 cases": watched_t_test,
        "ours": betting_gate(margin=0.03),
    }
    sizes = (50, 200, 1000)
    columns = [false_red_rates(runs, gates, cases=n, replications=replications, seed=n) for n in sizes]
    print("\n## A/A: how often a gate is red when nothing changed (one run against another)\n")
    print("| gate | " + " | ".join(f"{n} cases" for n in sizes) + " |\n|---|" + "---:|" * len(sizes))
    for name in gates:
        print(f"| {name} | " + " | ".join(f"{column[name]:.3f}" for column in columns) + " |")
    return any(above(column["ours"], FALSE_RED, replications) for column in columns)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--replications", type=int, default=200, help="decisions per law (2000 for the proof)"
    )
    parser.add_argument(
        "--data", type=Path, default=PAIRS, help="answers of several models to the same questions"
    )
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    print(header("Error rates"))
    print(
        "calls / limit is at the good boundary. A row holds when no rate passes its bound by 2 standard errors."
    )
    with ProcessPoolExecutor(args.jobs) as pool:
        sections = [partial(decision_table, "Made-up laws", made_up())]
        if args.data.exists():
            sections.append(partial(decision_table, "Pairs of real models (MMLU-Pro)", real_pairs(args.data)))
        sections += [merge_table, flip_table]
        broken = [section(args.replications, pool) for section in sections]
    if not args.data.exists():
        print(f"\nNo file {args.data}: the pairs of real models were left out.")
    print("\nA bound is broken." if any(broken) else "\nEvery bound holds.")
    return int(any(broken))


if __name__ == "__main__":
    sys.exit(main())
