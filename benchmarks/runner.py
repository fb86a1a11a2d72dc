"""What the runner costs beside the calls it makes, against a bare asyncio loop in the same run.

    python benchmarks/runner.py [--cases 2000,20000] [--rounds 3]

Every figure is a whole process: `shiftright eval` with statistics, results and traces stored, on a feature that does
nothing for 0 or 50 ms, 100 at a time, under a contract that all cases leave undecided. CPU is user + system of the
process, less that of a 10-case run. The bare loop reads the same cases, awaits the same feature, compares and writes
JSON Lines. Exit 1 when a bound is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from heading import header

CONCURRENCY = 100
SPEC = """\
feature: trivial
run: trivial:trivial
cases: cases.jsonl
checks:
  right: {score: exact, at_least: 50%, comfortable: 50.2%}
# so strict that the luck of the order does not end the run before all cases are used
confidence: {wrong_ship: 1%, wrong_block: 1%, false_red: 1%}
"""
CODE = """\
import asyncio, os

LATENCY = float(os.environ["LATENCY"])

async def trivial(text: str) -> str:
    if LATENCY:
        await asyncio.sleep(LATENCY)
    return text if int(text[1:]) % 2 else "no"
"""
BARE = """\
import asyncio, json, sys
sys.path.insert(0, ".")
from trivial import trivial

async def main() -> None:
    with open("cases.jsonl") as lines:
        cases = [json.loads(line) for line in lines]
    waiting = iter(cases)
    with open("bare.jsonl", "w") as out:
        async def worker() -> None:
            for case in waiting:
                output = await trivial(case["input"])
                out.write(json.dumps({"id": case["id"], "output": output, "right": output == case["expected"]}) + "\\n")
        await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))

asyncio.run(main())
""".replace("CONCURRENCY", str(CONCURRENCY))


def write_cases(folder: Path, n: int, changed: int = 0) -> None:
    rows = [{"id": f"c{i}", "input": f"h{i}", "expected": f"h{i}"} for i in range(n)]
    for row in rows[:changed]:
        row["input"] = row["expected"] = f"h{int(row['input'][1:]) + 10 * n}"
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def measured(command: list[str], folder: Path, latency: float) -> tuple[dict[str, float], str]:
    """One process: CPU s, wall s, peak KB, and what it printed."""
    env = {**os.environ, "LATENCY": str(latency), "SHIFTRIGHT_HOME": str(folder / ".shiftright")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.perf_counter()
    done = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert done.stdout is not None
    assert done.stderr is not None
    out = done.stdout.read()
    err = done.stderr.read()
    _, status, usage = os.wait4(done.pid, 0)
    done.returncode = os.waitstatus_to_exitcode(status)
    if done.returncode not in (0, 2):
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{out}{err}")
    figures = {
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": time.perf_counter() - start,
        "peak_kb": float(usage.ru_maxrss),
    }
    return figures, out


def median(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


EVAL = [sys.executable, "-m", "shiftright", "eval", "trivial", "--json", "--concurrency", str(CONCURRENCY)]
BARE_RUN = [sys.executable, "bare.py"]


class Bench:
    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def fresh(self, n: int) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="shiftright-bench-"))
        (folder / ".shiftright").mkdir()
        (folder / "spec.yaml").write_text(SPEC)
        (folder / "trivial.py").write_text(CODE)
        (folder / "bare.py").write_text(BARE)
        write_cases(folder, n)
        return folder

    def first_runs(self, n: int, latency: float) -> tuple[dict[str, float], dict[str, float]]:
        """(ours, bare), medians of the rounds."""
        ours, bare = [], []
        for _ in range(self.rounds):
            folder = self.fresh(n)
            ours.append(measured(EVAL, folder, latency)[0])
            bare.append(measured(BARE_RUN, folder, latency)[0])
            shutil.rmtree(folder)
        return median(ours), median(bare)

    def again(self, n: int) -> tuple[dict[str, float], dict[str, float], int]:
        """Re-runs of a finished eval: nothing changed; then 1 % of the cases changed, with the calls it made."""
        same, changed, calls = [], [], 0
        for _ in range(self.rounds):
            folder = self.fresh(n)
            measured(EVAL, folder, 0)
            same.append(measured(EVAL, folder, 0)[0])
            write_cases(folder, n, changed=n // 100)
            figures, out = measured(EVAL, folder, 0)
            changed.append(figures)
            calls = json.loads(out)["calls"]["made"]
            shutil.rmtree(folder)
        return median(same), median(changed), calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="2000,20000")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    bench = Bench(arguments.rounds)
    base_ours, base_bare = bench.first_runs(10, 0)
    again_base, _, _ = bench.again(10)
    lines, broken, peaks = [], [], {}
    for n in [int(size) for size in arguments.cases.split(",")]:
        for latency in (0.0, 0.05):
            ours, bare = bench.first_runs(n, latency)
            cost = (ours["cpu"] - base_ours["cpu"]) / (n - 10) * 1e6
            loop = (bare["cpu"] - base_bare["cpu"]) / (n - 10) * 1e6
            ideal = n * latency / CONCURRENCY
            wall = (ours["wall"] - base_ours["wall"]) / ideal if ideal else None
            peaks[n] = ours["peak_kb"]
            shown = f"{wall:.2f}" if wall else "–"
            lines.append(
                f"| {n:,} | {latency * 1000:.0f} | {cost / loop:.1f}× | {cost:.0f} | {loop:.0f} | {shown} |"
            )
            broken += (
                [f"{n} cases at {latency * 1000:.0f} ms: {cost:.0f} µs a case > 100"] if cost > 100 else []
            )
            broken += (
                [f"{n} cases at 50 ms: wall {wall:.2f} of the ideal > 1.10"] if wall and wall > 1.10 else []
            )
    sizes = sorted(peaks)
    growth = (peaks[sizes[-1]] - peaks[sizes[0]]) / (sizes[-1] - sizes[0]) if len(sizes) > 1 else 0.0
    n = sizes[-1]
    same, changed, calls = bench.again(n)
    unchanged = (same["cpu"] - again_base["cpu"]) / (n - 10) * 1e6
    broken += [f"memory grows {growth:.2f} KB a case > 1"] if growth > 1 else []
    broken += [f"an unchanged re-run costs {unchanged:.0f} µs a case > 20"] if unchanged > 20 else []
    broken += [f"1 % changed made {calls} calls, not {n // 100}"] if calls != n // 100 else []
    print(header("Overhead of an eval"))
    print(f"{CONCURRENCY} at a time, medians of {arguments.rounds} rounds\n")
    print("| cases | latency ms | CPU ÷ bare loop | CPU µs a case | bare loop µs | wall ÷ ideal |")
    print("|---|---|---|---|---|---|")
    print("\n".join(lines))
    print(f"\n- memory growth: {growth:.2f} KB a case (peak of {n:,} less peak of {sizes[0]:,})")
    print(f"- re-run with nothing changed, {n:,} cases: {unchanged:.1f} µs a case, no call")
    print(f"- re-run with 1 % of the cases changed: {calls} calls of {n:,}, {changed['cpu']:.2f} s CPU")
    if broken:
        sys.exit("broken: " + "; ".join(broken))


if __name__ == "__main__":
    main()
