"""Drift through the whole path: how often a contract raises a false alarm, and how soon and how well a fall is dated.

``python benchmarks/drift.py --contracts 40``: contracts of three checks, each exactly at its bound for 90 days (the
hardest place), replayed from real records; then falls of 5, 10 and 20 points.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from heading import header
from shiftright import spec as specs
from shiftright.core.score import Score
from shiftright.monitor import drift
from shiftright.store import Records, open_records
from shiftright.store.duckdb import DuckDBTelemetry
from shiftright.store.rows import ScoreRow

DAYS = 90
A_DAY = 60
LEVEL = 0.9
CONTRACT = """\
feature: {name}
run: some:thing
cases: cases.jsonl
checks:
  first:  {{score: "own:first", at_least: 90%}}
  second: {{score: "own:second", at_least: 90%}}
  third:  {{score: "own:third", at_least: 90%}}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contracts", type=int, default=40)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cases.jsonl").write_text('{"input": "a"}\n')
        telemetry = DuckDBTelemetry(folder / "telemetry.duckdb")
        with open_records(f"sqlite:///{folder / 'records.db'}") as records:
            alarms = sum(at_level(folder, records, telemetry, seed) for seed in range(asked.contracts))
            print(header("Drift"))
            print(
                f"At the bound, {asked.contracts} contracts of three checks over {DAYS} days: "
                f"**{alarms} false alarms**; about {asked.contracts} are promised at most.\n"
            )
            print(
                "| fall | found of | within 2,000 after (median) | dated within (median) |\n|---|---:|---:|---:|"
            )
            for fall in (0.05, 0.10, 0.20):
                found = [falls(folder, records, telemetry, seed, fall) for seed in range(asked.contracts)]
                delays = [delay for delay, _ in found if delay is not None]
                dated = [abs(error) for _, error in found if error is not None]
                soon, near = (statistics.median(each or [0]) for each in (delays, dated))
                print(
                    f"| {100 * fall:.0f} points | {len(delays)} of {len(found)} | {soon:.0f} | {near:.0f} |"
                )
        telemetry.close()
    # a Poisson count this far above what is promised is no chance
    broken = alarms > asked.contracts + 3 * asked.contracts**0.5
    print("\nThe promise is broken." if broken else "\nThe promise holds.")
    return int(broken)


def at_level(folder: Path, records: Records, telemetry: DuckDBTelemetry, seed: int) -> int:
    name = f"level{seed}"
    rng = np.random.default_rng(seed)
    for check in ("first", "second", "third"):
        feed(records, name, check, rng.random(DAYS * A_DAY) < LEVEL, DAYS * 86_400.0)
    return watched(folder, name, records, telemetry)


def falls(
    folder: Path, records: Records, telemetry: DuckDBTelemetry, seed: int, fall: float
) -> tuple[int | None, int | None]:
    """Observations from the fall to the alarm, and from the fall to when the alarm says that it was."""
    name = f"fall{fall:g}of{seed}".replace(".", "")
    rng = np.random.default_rng(seed + 1_000)
    before = 1_000
    values = np.concatenate((rng.random(before) < LEVEL + 0.02, rng.random(2_000) < LEVEL - fall))
    began = time.time() - len(values) * 86_400.0 / A_DAY
    for start in range(0, len(values), 20):
        feed(records, name, "first", values[start : start + 20], 0.0, began + start * 86_400.0 / A_DAY)
        if start >= before and watched(folder, name, records, telemetry):
            (incident,) = records.incidents.list(feature=name, limit=1)
            said = (incident.subject["since"] - began) / (86_400.0 / A_DAY)
            return start + 20 - before, round(said - before)
        if start < before:
            watched(folder, name, records, telemetry)
    return None, None


def feed(
    records: Records, feature: str, check: str, values: np.ndarray, ago_s: float, start: float | None = None
) -> None:
    first = time.time() - ago_s if start is None else start
    step = 86_400.0 / A_DAY
    records.scores.add(
        [
            ScoreRow(
                trace_id=f"{i:032x}",
                feature=feature,
                score=Score(check, float(value)),
                created_at=first + i * step,
            )
            for i, value in enumerate(values)
        ]
    )


def watched(folder: Path, name: str, records: Records, telemetry: DuckDBTelemetry) -> int:
    """Alarms until nothing is left to read."""
    (folder / "spec.yaml").write_text(CONTRACT.format(name=name))
    spec = specs.load(folder)
    alarms, seen = 0, None
    while True:
        alarms += len(drift.watch(spec, records, telemetry))
        now = [row and row.seen for row in (records.detectors.get(name, c.name) for c in spec.checks)]
        if now == seen:
            return alarms
        seen = now


if __name__ == "__main__":
    raise SystemExit(main())
