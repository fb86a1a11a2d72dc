"""What a release decision costs: expected calls against the limit, and against a fixed-size test of equal power.

Population: 65 % of the cases nearly always right, 22 % flaky, 13 % nearly always wrong; baseline cached five times,
candidate once. Question: not worse by 3 points (bad -0.03, good 0), wrong ship 5 %, wrong block 20 %, cap 1.5 times the
fixed-size test. Changes are drawn from the declared mix below.

    python benchmarks/decision_cost.py --replications 2000
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from math import sqrt
from statistics import NormalDist

import numpy as np

from heading import header
from shiftright.stats import CAP_FACTOR, BoundaryTest, expected_calls_limit, fixed_size

MIX = {-0.08: 0.08, -0.05: 0.10, -0.03: 0.12, -0.015: 0.15, 0.0: 0.25, 0.02: 0.20, 0.05: 0.10}
ASK = {"bad": -0.03, "good": 0.0, "low": -1.0, "high": 1.0, "alpha": 0.05, "beta": 0.20}
RIGHT, FLAKY, WRONG = (
    (0.65, 0.93, 1.0),
    (0.22, 0.25, 0.75),
    (0.13, 0.0, 0.07),
)  # share of cases, range of pass rates
MEAN = sum(share * (low + high) / 2 for share, low, high in (RIGHT, FLAKY, WRONG))
PLANNING = 200  # baseline reruns on other cases
CACHED = 5
ANSWERS = ("ship", "block", "inconclusive")


def pass_rates(n: int, rng: np.random.Generator) -> np.ndarray:
    """Pass rates of n cases drawn from the population."""
    kinds = rng.choice(3, n, p=[share for share, _, _ in (RIGHT, FLAKY, WRONG)])
    bounds = np.array([(low, high) for _, low, high in (RIGHT, FLAKY, WRONG)])[kinds]
    return bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) * rng.random(n)


def changed(rates: np.ndarray, effect: float) -> np.ndarray:
    """The candidate's pass rates: some cases break for good, or are fixed for good."""
    return rates * (1 + effect / MEAN) if effect < 0 else rates + (1 - rates) * effect / (1 - MEAN)


def differences(n: int, effect: float, rng: np.random.Generator) -> np.ndarray:
    """Increments of n new cases: one candidate run minus the mean of the cached baseline runs."""
    rates = pass_rates(n, rng)
    return (rng.random(n) < changed(rates, effect)) - rng.binomial(CACHED, rates) / CACHED


def simulate(task: tuple[float, int, int, int]) -> np.ndarray:
    """(effect, cap, replications, seed) to an array of rows (index of the answer, calls)."""
    effect, cap, replications, seed = task
    rng = np.random.default_rng(seed)
    rows = np.empty((replications, 2))
    for row in rows:
        test = BoundaryTest(**ASK, cap=cap, planning=differences(PLANNING, 0.0, rng))
        row[:] = ANSWERS.index(test.update(differences(cap, effect, rng))), test.n
    return rows


def limit_of(effect: float, rows: np.ndarray, law: np.ndarray) -> float:
    """The limit for the answers observed; at a boundary itself the guarantee, not its noisy estimate, is used."""
    ship, block = (float((rows[:, 0] == k).mean()) for k in (0, 1))
    ship = min(ship, ASK["alpha"]) if effect <= ASK["bad"] else ship
    block = min(block, ASK["beta"]) if effect >= ASK["good"] else block
    return expected_calls_limit(law, **ASK, p_ship=ship, p_block=block)


def totals(results: dict[float, np.ndarray], laws: dict[float, np.ndarray]) -> tuple[float, float]:
    calls = sum(MIX[effect] * rows[:, 1].mean() for effect, rows in results.items())
    return calls, sum(MIX[effect] * limit_of(effect, rows, laws[effect]) for effect, rows in results.items())


def jackknife(results: dict[float, np.ndarray], laws: dict[float, np.ndarray], groups: int = 10) -> float:
    """Standard error of calls / limit."""
    ratios = []
    for k in range(groups):
        kept = {effect: np.delete(rows, np.s_[k::groups], axis=0) for effect, rows in results.items()}
        calls, limit = totals(kept, laws)
        ratios.append(calls / limit)
    return sqrt((groups - 1) / groups * sum((ratio - np.mean(ratios)) ** 2 for ratio in ratios))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--replications", type=int, default=300, help="decisions per effect (2000 for the proof)"
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    variance = float(differences(1_000_000, 0.0, np.random.default_rng(0)).var())
    gap = ASK["good"] - ASK["bad"]
    cap = int(np.ceil(CAP_FACTOR * fixed_size(variance, gap, alpha=ASK["alpha"], beta=ASK["beta"])))
    tasks = [(effect, cap, args.replications, args.seed + 1000 * k) for k, effect in enumerate(MIX)]
    with ProcessPoolExecutor(args.jobs) as pool:
        results = dict(zip(MIX, pool.map(simulate, tasks), strict=True))
    laws = {effect: differences(400_000, effect, np.random.default_rng(7)) for effect in MIX}
    calls, limit = totals(results, laws)
    error = jackknife(results, laws)
    power = float((results[0.0][:, 0] == 0).mean())
    normal = NormalDist()
    fixed = (normal.inv_cdf(1 - ASK["alpha"]) + normal.inv_cdf(min(power, 0.999))) ** 2 * variance / gap**2
    print(header("Decision cost"))
    print(
        f"**Expected calls / limit: {calls / limit:.2f}** (± {error:.2f} s.e.; target at most 1.30) · ",
        end="",
    )
    print(f"expected calls / fixed-size test of equal power: **{calls / fixed:.2f}**\n")
    print(
        f"{calls:.0f} calls on average over the mix; limit {limit:.0f}; fixed-size paired test {fixed:.0f}; ",
        end="",
    )
    print(f"cap {cap}; power at the good boundary {power:.3f}; {args.replications} decisions per row.\n")
    print("| change (points) | weight | ship | block | inconclusive | calls | limit | calls / limit |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for effect, rows in results.items():
        shares = " | ".join(f"{(rows[:, 0] == k).mean():.3f}" for k in range(3))
        n, least = rows[:, 1].mean(), limit_of(effect, rows, laws[effect])
        print(
            f"| {100 * effect:+.1f} | {MIX[effect]:.2f} | {shares} | {n:.0f} | {least:.0f} | {n / least:.2f} |"
        )
    noise = 2 * sqrt(0.25 * 0.75 / args.replications)
    broken = calls / limit > 1.30 + 2 * error or power < 0.75 - noise
    for effect, answer, nominal in ((-0.03, 0, ASK["alpha"]), (0.0, 1, ASK["beta"])):
        rate = float((results[effect][:, 0] == answer).mean())
        broken = broken or rate > nominal + 2 * sqrt(nominal * (1 - nominal) / args.replications)
    print("\nA bound is broken." if broken else "\nEvery bound holds.")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
