"""Live rollouts: are the error rates of CanaryTest, AssignmentTest and DriftDetector true, and what do answers cost?

Error rates under a day and night, a trend and a ramp from 1 to 5 to 25 %. A rate passes when it is at most its nominal
value + 2 standard errors, a mean time when it is at least the stated one - 2 standard errors.

    python benchmarks/canary.py --replications 1000
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log, sqrt
from statistics import NormalDist

import numpy as np

from heading import header
from shiftright.stats import AssignmentTest, CanaryTest, DriftDetector, binary_kl, plan_canary

ALPHA, MARGIN, LOSS = 0.05, 0.05, 0.10
ASK = {"margin": MARGIN, "rollback_if_worse_by": LOSS, "low": 0.0, "high": 1.0, "alpha": ALPHA}
RAMP, LENGTHS = (0.01, 0.05, 0.25), (1000, 3000)  # P(canary) and the units of all steps but the last
DAY = 2000  # units
LEVEL = 0.85  # of the drift detector
Draw = Callable[[float, int, np.random.Generator], np.ndarray]
LEVELS = np.linspace(0.0, 1.0, 41)


@dataclass(frozen=True)
class Law:
    """Outcomes of a unit whose expected score is ``level``: yes/no, or graded (a beta law around it)."""

    name: str
    graded: bool
    level: float
    season: float = 0.0
    trend: float = 0.0

    def levels(self, size: int) -> np.ndarray:
        at = np.arange(size)
        return self.level + self.season * np.sin(2 * np.pi * at / DAY) + self.trend * at / 12_000

    def draw(self, levels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if self.graded:
            return rng.beta(8 * levels, 8 * (1 - levels))
        return (rng.random(levels.size) < levels).astype(float)

    def variance(self, level: float) -> float:
        return level * (1 - level) / (9 if self.graded else 1)

    def grid(self, level: float) -> np.ndarray:
        """Probabilities of the values LEVELS."""
        if not self.graded:
            return np.where(LEVELS == 0.0, 1 - level, np.where(LEVELS == 1.0, level, 0.0))
        middle = (LEVELS[1:] + LEVELS[:-1]) / 2
        density = middle ** (8 * level - 1) * (1 - middle) ** (8 * (1 - level) - 1)
        weights = np.append(density, 0.0) / 2 + np.append(0.0, density) / 2
        return weights / weights.sum()


def ramp(size: int) -> np.ndarray:
    return np.array(RAMP)[np.searchsorted(np.cumsum(LENGTHS), np.arange(size), side="right")]


def stream(law: Law, effect: np.ndarray | float, p: np.ndarray, rng: np.random.Generator) -> tuple:
    arm = rng.random(p.size) < p
    return law.draw(law.levels(p.size) + effect * arm, rng), arm, p


def canary(
    law: Law, effect: np.ndarray | float, p: np.ndarray, rng: np.random.Generator, **ask: float
) -> tuple[CanaryTest, np.ndarray]:
    """The test after its decision or the last unit, and the units' arms."""
    test, arms = CanaryTest(**{**ASK, **ask}), []
    levels, effects = law.levels(p.size), np.broadcast_to(effect, p.shape)
    for part in (slice(start, start + 1000) for start in range(0, p.size, 1000)):
        arm = rng.random(p[part].size) < p[part]
        arms.append(arm)
        y = law.draw(levels[part] + effects[part] * arm, rng)
        if test.update(y, canary=arm, probability=p[part]):
            break
    return test, np.concatenate(arms)


def above(rate: float, nominal: float, replications: int) -> bool:
    return rate > nominal + 2 * sqrt(nominal * (1 - nominal) / replications)


def watched_pooled_test(y: np.ndarray, arm: np.ndarray) -> str | None:
    """What many dashboards do: a z test of the difference of pooled means, looked at every 100 units."""
    looks = np.arange(99, y.size, 100)
    n1, n0 = np.cumsum(arm)[looks], np.cumsum(~arm)[looks]
    s1, s0 = np.cumsum(y * arm)[looks], np.cumsum(y * ~arm)[looks]
    seen = (n1 >= 30) & (n0 >= 30)
    m1, m0 = s1 / np.maximum(n1, 1), s0 / np.maximum(n0, 1)
    error = np.sqrt(y.var() * (1 / np.maximum(n1, 1) + 1 / np.maximum(n0, 1)))
    z = np.where(seen, (m1 - m0 + MARGIN) / error, 0.0)
    crossed = np.flatnonzero(np.abs(z) > NormalDist().inv_cdf(1 - ALPHA))
    return None if not crossed.size else "promote" if z[crossed[0]] > 0 else "rollback"


def error_table(replications: int) -> bool:
    size = 12_000
    moving = -MARGIN - 0.04 * (np.sin(np.arange(size) / 700) > 0)
    laws = [
        (Law("yes/no, 85 %", False, 0.80, 0.10, 0.05), -MARGIN, True, True),
        (Law("yes/no, 97 %", False, 0.96, 0.015, 0.01), -MARGIN, True, True),
        (Law("graded", True, 0.70, 0.10, 0.05), -MARGIN, True, True),
        (Law("yes/no, effect between −5 and −9", False, 0.80, 0.10, 0.05), moving, True, False),
        (Law("yes/no, effect between −5 and −1", False, 0.80, 0.10, 0.05), -2 * MARGIN - moving, False, True),
    ]
    print(f"\n## Error rates: effect at the margin (−5 points), day and night, trend, ramp, {size:,} units\n")
    print("| law | wrong promotion (5 %) | false rollback (5 %) | pooled means, watched: the same two | |")
    print("|---|---:|---:|---:|---|")
    any_broken = False
    for k, (law, effect, bad, good) in enumerate(laws):
        rng = np.random.default_rng(100 + k)
        ours, pooled = [], []
        for _ in range(replications):
            y, arm, p = stream(law, effect, ramp(size), rng)
            test = CanaryTest(**ASK)
            ours.append(test.update(y, canary=arm, probability=p))
            pooled.append(watched_pooled_test(y, arm))
        cells, contrast, broken = [], [], False
        for answer, counts in (("promote", bad), ("rollback", good)):
            rate = ours.count(answer) / replications
            broken = broken or (counts and above(rate, ALPHA, replications))
            cells.append(f"{rate:.3f}" if counts else "–")
            contrast.append(f"{pooled.count(answer) / replications:.3f}" if counts else "–")
        any_broken = any_broken or broken
        mark = "**broken**" if broken else "holds"
        print(f"| {law.name} | {' | '.join(cells)} | {', '.join(contrast)} | {mark} |", flush=True)
    return any_broken


def information(law: Law, level: float, effect: float, p: float) -> float:
    """Nats a unit that any test can gain, at best: least relative entropy to two arms whose difference is the margin.

    The dual is the growth of the best constant bet and centre (``stats._arms``): Newton's steps with a line search.
    """
    y = np.concatenate((LEVELS, LEVELS)) - level
    weights = np.concatenate((p * law.grid(level + effect), (1 - p) * law.grid(level)))
    y, weights, arm = (
        y[weights > 0],
        weights[weights > 0],
        np.repeat([1 / p, -1 / (1 - p)], LEVELS.size)[weights > 0],
    )
    gains = np.stack((arm * y + MARGIN, arm))
    bets = np.zeros(2)
    for _ in range(60):
        factors = 1 + bets @ gains
        slopes = (gains * weights / factors).sum(axis=1)
        curves = (gains[:, None] * gains[None] * weights / factors**2).sum(axis=2)
        step = np.linalg.solve(curves, slopes)
        while (1 + (bets + step) @ gains).min() <= 0.05 * factors.min():
            step /= 2
        bets = bets + step
    return float(weights @ np.log(1 + bets @ gains))


def fixed_units(law: Law, p: np.ndarray, gap: float, power: float) -> float:
    """Units of the fixed-size test (weights p (1 - p)) of error alpha and this power, on the same course of p."""
    normal = NormalDist()
    need = (normal.inv_cdf(1 - ALPHA) + normal.inv_cdf(min(power, 0.99))) ** 2 / gap**2
    reached = np.cumsum(p * (1 - p) / law.variance(law.level)) >= need
    return float(reached.argmax() + 1) if reached.any() else inf


def cost_table(replications: int) -> bool:
    yes_no, skewed = Law("yes/no, 85 %", False, 0.85), Law("yes/no, 97 %", False, 0.97)
    graded = Law("graded", True, 0.7)
    rows = [(yes_no, None, e) for e in (0.0, 0.03, -LOSS, -0.20, -0.45)]
    rows += [(yes_no, 0.25, 0.0), (yes_no, 0.25, -LOSS), (yes_no, 0.05, -0.20), (yes_no, 0.05, -0.45)]
    rows += [(law, None, e) for law in (skewed, graded) for e in (0.0, -LOSS)]
    print(
        "\n## Units to the right answer (margin 5 points, planned loss 10)\n\n"
        "Limit: the information at the decision is, on average, at least kl(power, 5 %), whatever the test (Wald;\n"
        "Garivier & Kaufmann); a unit's is the least relative entropy to two arms at the margin. The fixed-size test\n"
        "(same weights and course of p) is planned for no effect or the planned loss, with our power, at most 99 %.\n"
    )
    print(
        "| law | P(canary) | effect | right | units: mean | median | information / limit | units / fixed size |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    weak = False
    for k, (law, chance, effect) in enumerate(rows):
        rng = np.random.default_rng(200 + k)
        p = ramp(60_000) if chance is None else np.full(60_000, chance)
        chances, which = np.unique(p, return_inverse=True)
        known = np.array([information(law, law.level, effect, q) for q in chances])
        gained = np.concatenate(([0.0], np.cumsum(known[which])))
        tests = [canary(law, effect, p, rng)[0] for _ in range(replications)]
        answer = "promote" if effect > -MARGIN else "rollback"
        right = sum(t.decision == answer for t in tests) / replications
        units = np.array([t.n for t in tests])
        ratio = gained[units].mean() / binary_kl(right, ALPHA)
        fixed = fixed_units(law, p, MARGIN if effect > -MARGIN else LOSS - MARGIN, right)
        weak = weak or right < 0.95 - 2 * sqrt(0.05 / replications)
        print(
            f"| {law.name} | {chance or 'ramp'} | {100 * effect:+.0f} | {right:.3f} | {units.mean():.0f} "
            f"| {np.median(units):.0f} | {ratio:.2f} | {units.mean() / fixed:.2f} |",
            flush=True,
        )
    return weak


def breaks_table(replications: int) -> bool:
    """A canary that equals the control for some units, then loses 20 or 45 points."""
    law, size = Law("yes/no, 85 %", False, 0.85), 30_000
    print(
        "\n## A canary that breaks later (equal until then; ramp; margin 2 points; the others were promoted before)\n"
    )
    print("| breaks at unit | by | rolled back | units since the break: median | of them canary | 90 % |")
    print("|---:|---:|---:|---:|---:|---:|")
    for at, effect in ((0, -0.2), (0, -0.45), (6000, -0.2), (6000, -0.45)):
        rng = np.random.default_rng(300 + at)
        delays, canaries, back, runs = [], [], 0, max(replications // 4, 20)
        for _ in range(runs):
            effects = np.where(np.arange(size) >= at, effect, 0.0)
            test, arm = canary(law, effects, ramp(size), rng, margin=0.02)
            if test.decision == "rollback" and test.n > at:
                back += 1
                delays.append(test.n - at)
                canaries.append(int(arm[at : test.n].sum()))
        print(
            f"| {at} | {100 * effect:.0f} | {back / runs:.3f} | {np.median(delays):.0f} "
            f"| {np.median(canaries):.0f} | {np.quantile(delays, 0.9):.0f} |",
            flush=True,
        )
    return False


def assignment_table(replications: int) -> bool:
    runs, size = 2 * replications, 8000
    rng = np.random.default_rng(400)
    alarms = sum(AssignmentTest().update(rng.random(size) < ramp(size), ramp(size)) for _ in range(runs))
    broken = above(alarms / runs, 0.001, runs)
    print("\n## Sample ratio\n")
    print(
        f"Assigned as logged, ramp, {size:,} units: {alarms} alarms in {runs:,} runs (bound 0.1 %): ", end=""
    )
    print("**broken**\n" if broken else "holds\n")
    print("| P(canary) logged | in truth | units to the alarm: mean | limit |\n|---:|---:|---:|---:|")
    for p in (0.05, 0.25):
        for truth in (0.9 * p, 1.1 * p, 0.5 * p, 2 * p):
            units = []
            for _ in range(max(replications // 5, 20)):
                test = AssignmentTest()
                while not test.update(rng.random(2000) < truth, p):
                    pass
                units.append(test.n)
            print(
                f"| {p} | {truth:.3g} | {np.mean(units):.0f} | {log(1000) / binary_kl(truth, p):.0f} |",
                flush=True,
            )
    return broken


class ECusum(DriftDetector):
    """The same bets and threshold in max(R_k, 1) in place of R_k + 1."""

    def _advance(self, xs: list[float]) -> None:
        for x in xs:
            self._sums = [
                max(r, 1.0) * (1.0 + bet * (self.level - x))
                for r, bet in zip(self._sums, self._bets, strict=True)
            ]
            self._n += 1
            self._pending.append(x)
            if self.statistic >= self.false_alarm_every:
                self._alarms += 1
                self._sums = [0.0] * len(self._sums)


def until_alarm(detector: DriftDetector, draw: Callable[[int], np.ndarray]) -> int:
    start = detector.n
    while True:
        for x in draw(100).tolist():
            if detector.update(x):
                return detector.n - start


def yes_no_scores(mean: float, n: int, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(n) < mean).astype(float)


def graded_scores(mean: float, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.beta(8 * mean, 8 * (1 - mean), n)


def scores_in_turns(mean: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """50 at the mean, 50 four points above: the level is kept by every one."""
    return (rng.random(n) < mean + 0.04 * (np.arange(n) % 100 < 50)).astype(float)


def delays_of(kind: type[DriftDetector], ask: dict, draw: Draw, drop: float, runs: int) -> float:
    rng, waits = np.random.default_rng(501), []
    while len(waits) < runs:
        detector = kind(**ask)
        if not detector.update(draw(LEVEL + 0.03, 500, rng)):
            waits.append(until_alarm(detector, lambda n: draw(LEVEL - drop, n, rng)))
    return float(np.mean(waits))


def drift_table(replications: int) -> bool:
    every, drops = 1000, (0.02, 0.05, 0.10, 0.20)
    ask = {"level": LEVEL, "low": 0.0, "high": 1.0, "false_alarm_every": every}
    rng = np.random.default_rng(500)
    print(
        f"\n## Drift: level {LEVEL}, a false alarm every {every:,} observations at most\n\n"
        "Delay: observations from the fall to the alarm, after 500 at 3 points above the level.\n"
    )
    heads = " | ".join(f"delay at −{100 * d:.0f}" for d in drops)
    print(f"| stream | mean time between false alarms | {heads} | the same, e-CUSUM | |")
    print("|---|---:|" + "---:|" * len(drops) + "---:|---|")
    streams = {
        "yes/no": yes_no_scores,
        "graded": graded_scores,
        "yes/no, hard and easy in turns": scores_in_turns,
    }
    any_broken = False
    for name, draw in streams.items():
        times = np.array(
            [until_alarm(DriftDetector(**ask), lambda n: draw(LEVEL, n, rng)) for _ in range(replications)]  # noqa: B023
        )
        error = times.std() / sqrt(replications)
        broken = times.mean() < every - 2 * error
        any_broken = any_broken or broken
        ours, cusum = (
            [delays_of(kind, ask, draw, drop, max(replications // 10, 20)) for drop in drops]
            for kind in (DriftDetector, ECusum)
        )
        cells = " | ".join(f"{delay:.0f}" for delay in ours)
        contrast = ", ".join(f"{delay:.0f}" for delay in cusum)
        mark = "**broken**" if broken else "holds"
        print(f"| {name} | {times.mean():.0f} (± {error:.0f}) | {cells} | {contrast} | {mark} |", flush=True)
    return any_broken


def plan_table(replications: int) -> bool:
    print("\n## plan_canary against the test (yes/no, 1 day at 1 %, 2 at 5 %, then 25 %; median days)\n")
    print(
        "| rate | units a day | equal: planned | measured | at the loss: planned | measured | needed a day | CPU s |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    steps, give_up = [(0.01, 1), (0.05, 2), (0.25, 11)], 14
    for rate, daily in ((0.85, 3000), (0.85, 300), (0.97, 300)):
        start = time.process_time()
        law = Law("", False, rate)
        outcomes = np.repeat([1.0, 0.0], [round(100 * rate), round(100 - 100 * rate)])
        plan = plan_canary(
            outcomes,
            steps=steps,
            units_per_day=daily,
            give_up=give_up,
            margin=MARGIN,
            rollback_if_worse_by=LOSS,
            low=0.0,
            high=1.0,
            alpha=ALPHA,
        )
        seconds = time.process_time() - start
        rng = np.random.default_rng(600)
        p = np.repeat([0.01, 0.05, 0.25], [daily, 2 * daily, 11 * daily])
        measured = []
        for effect, answer in ((0.0, "promote"), (-LOSS, "rollback")):
            tests = [canary(law, effect, p, rng)[0] for _ in range(max(replications // 5, 20))]
            measured.append(float(np.median([t.n / daily if t.decision == answer else inf for t in tests])))
        needed = max(plan.promote_needs, plan.rollback_needs)
        print(
            f"| {rate} | {daily} | {plan.promote_days:.1f} | {measured[0]:.1f} | {plan.rollback_days:.1f} | "
            f"{measured[1]:.1f} | {needed:.0f} | {seconds:.1f} |",
            flush=True,
        )
    return False


def speed_line() -> None:
    rng = np.random.default_rng(700)
    y, arm = (rng.random(20_000) < 0.85).astype(float), rng.random(20_000) < 0.1
    test = CanaryTest(**{**ASK, "alpha": 1e-12})
    start = time.process_time()
    for value, taken in zip(y.tolist(), arm.tolist(), strict=True):
        test.update(value, canary=taken, probability=0.1)
    one = (time.process_time() - start) / test.n
    test = CanaryTest(**{**ASK, "alpha": 1e-12})
    start = time.process_time()
    test.update(y, canary=arm, probability=0.1)
    many = (time.process_time() - start) / test.n
    print(
        f"\nA unit costs {1e6 * one:.1f} µs one at a time, {1e6 * many:.1f} µs in arrays (CPU, bets included)."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--replications", type=int, default=200, help="runs per row (1000 for the proof)")
    parser.add_argument("--only", nargs="+", help="sections: error, drift, assignment, cost, breaks, plan")
    args = parser.parse_args()
    print(header("Live rollouts"))
    sections = {
        "error": error_table,
        "drift": drift_table,
        "assignment": assignment_table,
        "cost": cost_table,
        "breaks": breaks_table,
        "plan": plan_table,
    }
    chosen = [sections[name] for name in args.only or sections]
    broken = [section(args.replications) for section in chosen]
    speed_line()
    print("\nA bound is broken." if any(broken) else "\nEvery bound holds.")
    return int(any(broken))


if __name__ == "__main__":
    sys.exit(main())
