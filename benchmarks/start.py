"""CPU that a command takes before it does anything, against a bare interpreter in the same run.

    python benchmarks/start.py [--rounds 7]

Exit 1 when `shiftright --help` or `shiftright check` takes more than 0.4 s CPU. An eval of one case stands beside them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from heading import header

LIMIT_S = 0.4
A_LOOK = 2  # exit code of an eval that looks at some cases and decides nothing
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import shiftright": ["-c", "import shiftright"],
    "shiftright --help": ["-m", "shiftright", "--help"],
    "shiftright check": ["-m", "shiftright", "check"],
    "shiftright eval f --limit 1": ["-m", "shiftright", "eval", "f", "--limit", "1"],
}


def cpu(words: list[str], folder: Path) -> float:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert done.stderr is not None
    errors = done.stderr.read()
    _, status, usage = os.wait4(done.pid, 0)
    done.returncode = os.waitstatus_to_exitcode(status)
    if done.returncode not in (0, A_LOOK):
        sys.exit(f"{words} ended with {done.returncode}: {errors.decode()}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spec.yaml").write_text(
            "feature: f\nrun: f:f\ncases: cases.jsonl\nchecks:\n  right: {score: exact, at_least: 70%}\n"
        )
        (folder / "f.py").write_text("def f(x: str) -> str:\n    return x\n")
        (folder / "cases.jsonl").write_text(
            "".join(f'{{"input": "{i}", "expected": "{i}"}}\n' for i in range(400))
        )
        figures = {
            label: [cpu(words, folder) for _ in range(rounds + 1)][1:] for label, words in COMMANDS.items()
        }
    bare = statistics.median(figures["python -c pass"])
    print(header("Start"))
    print("| command | ÷ bare interpreter | CPU s (median) |\n|---|---|---|")
    slow = []
    for label, values in figures.items():
        middle = statistics.median(values)
        print(f"| `{label}` | {middle / bare:.1f}× | {middle:.3f} |")
        if middle > LIMIT_S and "eval" not in label:
            slow.append(label)
    if slow:
        sys.exit(f"above {LIMIT_S} s: {', '.join(slow)}")
    print("\nEvery bound holds.")


if __name__ == "__main__":
    main()
