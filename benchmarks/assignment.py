"""What an open rollout adds to a request: finding its arm before the answer, noting it behind.

    python benchmarks/assignment.py

The gateway's own objects with ten features rolled out; CPU time, the best of five rounds, beside the bare hash that
every assignment needs. Exits 1 above 20 µs a request.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from heading import header
from shiftright import gateway
from shiftright.core.release import Release
from shiftright.core.rollout import bucket
from shiftright.features import identity
from shiftright.features.loading import load
from shiftright.gateway.rollouts import exposure
from shiftright.gateway.spans import Ids, Record
from shiftright.ship import rollouts
from shiftright.store import open_records

LIMIT_US = 20.0
ROUNDS, REQUESTS, FEATURES = 5, 20_000, 10
SPEC = """\
feature: NAME
cases: cases.jsonl
variants: {old: {model: "openai:old"}, new: {model: "openai:new"}}
baseline: old
checks: {json: {score: regex, pattern: ok, at_least: 90%}}
ship: {steps: [5%, 100%]}
"""


def prepared(root: Path) -> gateway.Rollouts:
    """Every feature with an open rollout."""
    (root / ".shiftright").mkdir()
    for number in range(FEATURES):
        folder = root / f"f{number}"
        folder.mkdir()
        (folder / "cases.jsonl").write_text('{"input": "a"}\n', encoding="utf-8")
        (folder / "spec.yaml").write_text(SPEC.replace("NAME", folder.name), encoding="utf-8")
    records = open_records(f"sqlite:///{root / '.shiftright' / 'records.db'}")
    router = gateway.Router(root, gateway.configure(root, {"OPENAI_API_KEY": "k"}))
    router.refresh()
    for name, spec in router.features.items():
        variant = spec.variants["new"]
        release = Release(
            feature=name, variant="new", run=None, settings=variant.settings, files={}, commit="", snapshot=None,
            code=identity.digest(load(spec, variant)), contract=spec.digest, checks=(), confidence={},
        )  # fmt: skip
        records.releases.append("release", name, release.digest, {"release": msgspec.to_builtins(release)})
        rollouts.begin(spec, release.digest, records)
    made = gateway.Rollouts(router, records, root / ".shiftright", largest=10**9)
    made.refresh()
    return made


def per_request(work: Callable[[int], Any]) -> float:
    """Microseconds of CPU, the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for number in range(REQUESTS):
            work(number)
        best = min(best, (time.process_time() - began) / REQUESTS * 1e6)
    return best


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        serving = prepared(Path(folder))
        users = [f"user-{number % 5_000}" for number in range(REQUESTS)]
        ids = Ids("0" * 31 + "1", "0" * 15 + "1")

        def record(number: int) -> Record:
            return Record(ids, 0, "/v1/chat/completions", feature=f"f{number % FEATURES}", user=users[number])

        records = [record(number) for number in range(REQUESTS)]

        def assign(number: int) -> None:
            serving.serve(records[number].feature, records[number])

        def note(number: int) -> None:
            row = exposure(records[number])
            assert row is not None
            serving.add(row)

        hashed = per_request(lambda number: bucket("0123456789abcdef", users[number]))
        without = per_request(lambda number: serving.serve("another", records[number]))
        assigned = per_request(assign)
        noted = per_request(note)
    print(header("Assignment"))
    print("| of one request | CPU µs | ÷ the bare hash | ÷ 20 µs |\n|---|---:|---:|---:|")
    for name, cost in (
        ("the bare hash", hashed),
        ("a feature without a rollout", without),
        ("its arm, before the answer", assigned),
        ("its record, behind the answer", noted),
        ("both", assigned + noted),
    ):
        print(f"| {name} | {cost:.2f} | {cost / hashed:.1f} | {cost / LIMIT_US:.2f} |")
    broken = assigned + noted > LIMIT_US
    print("\nThe bound is broken." if broken else "\nThe bound holds.")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
