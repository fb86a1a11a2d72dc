"""What the records cost: CPU per case written and read, beside bare sqlite3, in one process.

    python benchmarks/store.py [--cases 20000]

Prints each figure with its limit and exits 1 when one is exceeded.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from heading import header
from shiftright.core.answer import Answer, Span, Usage
from shiftright.core.case import digest_of
from shiftright.core.score import Score
from shiftright.store import Records, open_records
from shiftright.store.ids import answer_id
from shiftright.store.rows import ConsumedRow, DecisionRow, RunCase, StoredAnswer

BATCH = 500
WRITE_US, READ_US, CASES_US, OPEN_MS, MEMORY_BYTES = 25.0, 10.0, 15.0, 15.0, 1024


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU, user and system, that ``work`` took."""
    before = time.process_time()
    work()
    return time.process_time() - before


def batches(n: int) -> list[tuple[list[StoredAnswer], list[RunCase], list[ConsumedRow]]]:
    made = []
    for start in range(0, n, BATCH):
        answers, cases, consumed = [], [], []
        for i in range(start, min(start + BATCH, n)):
            case_id, digest = f"case-{i}", digest_of(i)
            answer = Answer(
                output={"queue": "card_arrival", "reason": "The customer asks where the new card is."},
                usage=Usage(310, 22),
                cost_usd=0.00012,
                latency_s=0.31,
                model_calls=1,
                spans=(Span("chat smollm2", 120, 310_000, -1, {"gen_ai.request.model": "smollm2"}),),
            )
            id_ = answer_id()
            answers.append(
                StoredAnswer(id_, "triage", "v" * 32, digest, 0, "r-1", case_id, answer, 1_795_000_000.0)
            )
            scores = {"right": (Score("exact", 1.0),), "latency": (Score("latency", 0.31),)}
            cases.append(RunCase("r-1", "gate", i, case_id, digest, (id_,), (), scores, {}))
            consumed.append(
                ConsumedRow(
                    "d-1", i, case_id, digest, {"right": (1.0,), "latency": (0.3,)}, {"right": (1.0,)}
                )
            )
        made.append((answers, cases, consumed))
    return made


def write_all(
    records: Records, flushes: list[tuple[list[StoredAnswer], list[RunCase], list[ConsumedRow]]]
) -> None:
    for answers, cases, consumed in flushes:
        records.write(answers=answers, cases=cases, consumed=consumed)


def bare(path: Path, n: int) -> float:
    """The same columns as prepared tuples through ``executemany``: what SQLite itself costs."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE a (n INTEGER PRIMARY KEY, id, f, v, i, r, u, c, o, fl, us, co, la, mc, cc, sp, cr);"
        "CREATE UNIQUE INDEX ai ON a (id); CREATE INDEX ak ON a (v, n);"
        "CREATE TABLE c (r, s, p, c, d, x, y, cs, bs, PRIMARY KEY (r, s, p)) WITHOUT ROWID;"
        "CREATE TABLE u (d, p, c, g, x, y, PRIMARY KEY (d, p)) WITHOUT ROWID;"
    )
    output = json.dumps({"queue": "card_arrival", "reason": "The customer asks where the new card is."})
    usage = json.dumps({"input_tokens": 310, "output_tokens": 22, "cached_tokens": 0, "reasoning_tokens": 0})
    scores = json.dumps({"right": [{"name": "exact", "value": 1.0}], "latency": [{"name": "latency"}]})
    means = json.dumps({"right": [1.0], "latency": [0.3]})
    spans = b"x" * 60
    ids = [(answer_id(), digest_of(i)) for i in range(n)]

    def work() -> None:
        for start in range(0, n, BATCH):
            part = list(enumerate(ids[start : start + BATCH], start))
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                f"INSERT INTO a VALUES (NULL{',?' * 16})",
                [
                    (a, "triage", "v" * 32, d, 0, "r-1", f"case-{i}", output, None, usage,
                     0.00012, 0.31, 1, 0, spans, 1.0)
                    for i, (a, d) in part
                ],
            )  # fmt: skip
            connection.executemany(
                "INSERT INTO c VALUES (?,?,?,?,?,?,?,?,?)",
                [("r-1", "gate", i, f"case-{i}", d, f'["{a}"]', "[]", scores, "{}") for i, (a, d) in part],
            )
            connection.executemany(
                "INSERT INTO u VALUES (?,?,?,?,?,?)",
                [("d-1", i, f"case-{i}", d, means, '{"right":[1.0]}') for i, (_, d) in part],
            )
            connection.execute("COMMIT")

    seconds = cpu(work)
    connection.close()
    return seconds / n * 1e6


def memory(url: str, n: int) -> float:
    """Bytes of Python memory a case that a whole variant read back holds."""
    with open_records(url) as records:
        tracemalloc.start()
        found = records.answers.get("v" * 32)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(found) == n
    return held / n


def line(name: str, value: float, limit: float, unit: str, note: str = "") -> bool:
    print(f"| {name} | {value:.2f} {unit} | {limit:g} | {note} |")
    return value <= limit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000)
    n = parser.parse_args().cases
    print(header("Records"))
    print("| | measured | bound | |\n|---|---:|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/records.db"
        flushes = batches(n)
        with open_records(url) as records:
            records.ledger.create(DecisionRow("d-1", "k", "triage", "retrieved", 0.0, 0.0))
            rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            written = cpu(lambda: write_all(records, flushes)) / n * 1e6
            growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rss) * 1024 / n
        limit = bare(Path(folder) / "bare.db", n)
        opening = []
        for _ in range(20):
            started = time.perf_counter()
            records = open_records(url)
            opening.append(time.perf_counter() - started)
            records.close()
        with open_records(url) as records:
            read = cpu(lambda: records.answers.get("v" * 32)) / n * 1e6
            cases = cpu(lambda: list(records.runs.cases("r-1"))) / n * 1e6
        ratio = f"{written / limit:.2f}× bare sqlite3 ({limit:.1f})"
        good = [
            line("write answer + run case + consumed row", written, WRITE_US, "µs/case", ratio),
            line("memory growth while writing", growth, MEMORY_BYTES, "bytes/case"),
            line(f"read {n} answers of a variant", read, READ_US, "µs/answer"),
            line(f"read {n} run cases", cases, CASES_US, "µs/case"),
            line("memory held by answers read", memory(url, n), MEMORY_BYTES, "bytes/case"),
            line("open an up-to-date file (median)", sorted(opening)[10] * 1e3, OPEN_MS, "ms"),
        ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
