"""Large data: one eval, `compare` and `aa` at full size and at a tenth of it, beside reading the files with json only.

    python benchmarks/large.py [--scale 1.0]

Every figure is a whole process, less that of the same command on 10 cases. "Growth" is the cost of a case at full
size over that at a tenth: 1.0 is linear. Exit 1 where it is above 1.5, or memory above 1 KB a case in an eval.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from heading import header
from runner import BARE_RUN, EVAL, Bench, measured

GROWTH = 1.5
EVAL_KB = 1.0
FEWEST = 10
READ = [
    sys.executable,
    "-c",
    "import json, sys\nrows = [[json.loads(line) for line in open(name)] for name in sys.argv[1:]]",
]
SHIFTRIGHT = [sys.executable, "-m", "shiftright"]


def evaluated(n: int) -> tuple[Path, list[str], list[str]]:
    """A folder, the command, and what it is held against. The contract stays undecided to the last case."""
    folder = Bench(1).fresh(n)
    spec = folder / "spec.yaml"
    spec.write_text(spec.read_text().replace("50.2%", "50.05%"))
    return folder, EVAL, BARE_RUN


def compared(n: int) -> tuple[Path, list[str], list[str]]:
    folder, files = recorded(n, 2)
    return folder, [*SHIFTRIGHT, "compare", *files, "--json"], [*READ, *files]


def against_itself(n: int) -> tuple[Path, list[str], list[str]]:
    folder, files = recorded(n, 4)
    return folder, [*SHIFTRIGHT, "aa", *files, "--json"], [*READ, *files]


def recorded(n: int, runs: int) -> tuple[Path, list[str]]:
    """Runs of one unchanged feature that answers 65 % of the cases always, 22 % now and then."""
    folder = Path(tempfile.mkdtemp(prefix="shiftright-bench-"))
    chance = random.Random(7)
    rates = [1.0 if i % 100 < 65 else 0.5 if i % 100 < 87 else 0.0 for i in range(n)]
    names = [f"run{number}.jsonl" for number in range(1, runs + 1)]
    for name in names:
        with (folder / name).open("w") as lines:
            for i, rate in enumerate(rates):
                output = f"answer {i}" if chance.random() < rate else "I do not know."
                row = {"id": f"case-{i}", "input": f"What is the answer to question {i}?", "output": output}
                lines.write(json.dumps(row | {"expected": f"answer {i}", "tags": [f"part-{i % 7}"]}) + "\n")
    return folder, names


Task = Callable[[int], tuple[Path, list[str], list[str]]]
TASKS: dict[str, tuple[Task, int, str]] = {
    "eval, 200,000 cases": (evaluated, 200_000, "bare loop"),
    "compare, 2 × 100,000 rows": (compared, 100_000, "json"),
    "aa, 4 × 20,000 rows": (against_itself, 20_000, "json"),
}


def figures(task: Task, n: int) -> tuple[dict[str, float], dict[str, float]]:
    """(ours, the reference) on n cases."""
    folder, command, reference = task(n)
    print(f"{task.__name__} {n:,}", file=sys.stderr, flush=True)
    try:
        return measured(command, folder, 0)[0], measured(reference, folder, 0)[0]
    finally:
        shutil.rmtree(folder)


def less(all_of: dict[str, float], start: dict[str, float], n: int) -> dict[str, float]:
    """Per case: CPU s, wall s, peak KB."""
    return {key: (all_of[key] - start[key]) / (n - FEWEST) for key in all_of}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the full sizes, for a quick look")
    scale = parser.parse_args().scale
    lines, broken = [], []
    for name, (task, full, held_against) in TASKS.items():
        n = int(full * scale)
        start, bare_start = figures(task, FEWEST)
        tenth, _ = figures(task, n // 10)
        ours, bare = figures(task, n)
        case, bare_case = less(ours, start, n), less(bare, bare_start, n)
        growth = case["cpu"] / less(tenth, start, n // 10)["cpu"]
        lines.append(
            f"| {name} | {case['cpu'] / bare_case['cpu']:.1f}× {held_against} | {case['cpu'] * 1e6:.0f} | "
            f"{growth:.2f} | {ours['cpu']:.1f} | {ours['wall']:.1f} | {ours['peak_kb'] / 1024:.0f} | "
            f"{case['peak_kb']:.2f} |"
        )
        broken += [f"{name}: the cost of a case grows {growth:.2f}× over ten times the cases"] * (
            growth > GROWTH
        )
        if task is evaluated and case["peak_kb"] > EVAL_KB:
            broken.append(f"{name}: {case['peak_kb']:.2f} KB a case")
    print(header("Large data"))
    if scale != 1.0:
        print(f"At {scale:g} of the sizes named.\n")
    print("| task | CPU ÷ | CPU µs a case | growth | CPU s | wall s | peak MB | KB a case |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))
    print("\nA bound is broken: " + "; ".join(broken) if broken else "\nEvery bound holds.")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
