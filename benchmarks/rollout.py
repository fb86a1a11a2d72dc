"""Rollouts end to end: a load script drives the real server; a bad canary is taken back, a neutral one promoted.

    python benchmarks/rollout.py [--runs 5] [--rate 150] [--only bad|neutral]

Answers are those that real models gave to questions of MMLU-Pro (data/), replayed by an upstream in this process; their
true difference is known from all 6,066 questions. The server is ``shiftright serve``, begun and asked on the command
line; the contract's check is a scorer of its own that knows the right letters. Each run has a seed, a project, a server
and users of its own. Exits 1 when a run ends the other way, a user saw an error, or the candidate still answered 2 s
after it was taken back.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp

from heading import header
from shiftright.core.rollout import OPEN
from shiftright.store import open_records
from shiftright.store.rows import FollowedRow

DATA = Path(__file__).parent / "data" / "mmlu_pro_pairs.csv.gz"
CONTROL = "Meta-Llama-3-70B"
CANARIES = {"bad": "Llama-2-70b-hf", "neutral": "Meta-Llama-3_1-70B"}
WANTED = {"bad": "back", "neutral": "promoted"}
LONGEST_S = 600.0
SPEC = """\
feature: quiz
cases: cases.jsonl
variants:
  old: {model: "openai:CONTROL"}
  new: {model: "openai:CANARY"}
baseline: old
checks:
  right: {score: "marks:right", max_drop: 8 points}
ship: {steps: [20%, 50%, 100%], back_if_drop: 16 points, outcome_after: 3 s, give_up: 1 h}
"""
SCORER = """\
import json
from pathlib import Path

KEY = json.loads((Path(__file__).parent / "key.json").read_text())

def right(output, input) -> bool:
    return output == KEY[input]
"""


class Recorded:
    """An upstream that answers what a model answered then."""

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self._answers = {row["question_id"]: row for row in rows}
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()

    def _run(self, ready: threading.Event) -> None:
        async def start() -> None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                asked = json.loads(await reader.readexactly(size))
                letter = self._answers[asked["messages"][-1]["content"]][asked["model"]]
                message = {"role": "assistant", "content": letter}
                said = {
                    "id": "a", "object": "chat.completion", "model": asked["model"],
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
                }  # fmt: skip
                body = json.dumps(said).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                    % (len(body), body)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Load:
    """Users that come at a rate, each with a question or two; what they were told, and when by the candidate last."""

    def __init__(self, url: str, rows: list[dict[str, str]], canary: str, rate: float, seed: int) -> None:
        self._url, self._rows, self._canary, self._rate = url, rows, canary, rate
        self._random = random.Random(seed)
        self.asked = self.failed = self.by_canary = 0
        self.canary_last = 0.0
        self.ending = asyncio.Event()

    async def run(self) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:
            under_way: set[asyncio.Task[None]] = set()
            began, number = time.monotonic(), 0
            while not self.ending.is_set():
                number += 1
                await asyncio.sleep(max(0.0, began + number / self._rate - time.monotonic()))
                if len(under_way) < 64:
                    task = asyncio.create_task(self._one(session))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
            await asyncio.gather(*under_way)

    async def _one(self, session: aiohttp.ClientSession) -> None:
        question = self._random.choice(self._rows)["question_id"]
        body = {
            "model": "quiz",
            "user": f"user-{self._random.randrange(10**6)}",
            "messages": [{"role": "user", "content": question}],
        }
        self.asked += 1
        async with session.post(f"{self._url}/v1/chat/completions", json=body) as answer:
            said = await answer.json()
            if answer.status != 200:
                self.failed += 1
            elif said["model"] == self._canary:
                self.by_canary += 1
                self.canary_last = time.time()


def shiftright(folder: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "shiftright", *words, "--json"], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def prepare(folder: Path, rows: list[dict[str, str]], canary: str) -> None:
    (folder / ".shiftright").mkdir()
    (folder / "spec.yaml").write_text(SPEC.replace("CONTROL", CONTROL).replace("CANARY", canary))
    (folder / "marks.py").write_text(SCORER)
    (folder / "key.json").write_text(json.dumps({row["question_id"]: row["answer"] for row in rows}))
    cases = ({"input": row["question_id"], "expected": row["answer"]} for row in rows[:20])
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))


async def one(kind: str, seed: int, rows: list[dict[str, str]], upstream: str, rate: float) -> dict[str, Any]:
    """One rollout, from the release to its end."""
    canary = CANARIES[kind]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, rows, canary)
        environment = os.environ | {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream}
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "shiftright", "serve", "--json", "--port", "0",
            cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert server.stdout is not None
        url = json.loads(await server.stdout.readline())["url"]
        load = Load(url, rows, canary, rate, seed)
        loading = asyncio.create_task(load.run())
        try:
            await asyncio.sleep(3.0)
            await asyncio.to_thread(
                shiftright, folder, "release", "quiz", "--variant", "new", "--by", "bench"
            )
            words = ("rollout", "quiz", "--start", "new", "--override", "a benchmark", "--by", "bench")
            begun = await asyncio.to_thread(shiftright, folder, *words)
            began = time.monotonic()
            with open_records(f"sqlite:///{folder / '.shiftright' / 'records.db'}") as records:
                while (row := records.rollouts.get(begun["id"])).rollout.state in OPEN:
                    assert time.monotonic() - began < LONGEST_S, row
                    await asyncio.sleep(0.25)
                took = time.monotonic() - began
                await asyncio.sleep(4.0)
                told = measured(records.rollouts.get(begun["id"]))
                told["incidents"] = len(records.incidents.list())
                told["reviews"] = len(records.reviews.list(kind="violation").data)
                told["exposed"] = len(records.rollouts.exposures(begun["id"], limit=10**6))
        finally:
            load.ending.set()
            await loading
            server.terminate()
            await server.wait()
    late = load.canary_last - told["ended_at"] if kind == "bad" else 0.0
    return told | {
        "kind": kind, "seed": seed, "took_s": took, "asked": load.asked, "failed": load.failed, "late_s": late,
        "by_canary": load.by_canary,
    }  # fmt: skip


def measured(row: FollowedRow) -> dict[str, Any]:
    (check,) = row.evidence["checks"]
    return {
        "state": row.rollout.state,
        "reason": row.rollout.reason,
        "ended_at": row.rollout.ended_at,
        "units": row.evidence["units"],
        "effect": check["effect"],
        "interval": check["interval"],
        "p": row.evidence["sample_ratio_p"],
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=150.0)
    parser.add_argument("--only", choices=sorted(CANARIES))
    options = parser.parse_args()
    with gzip.open(DATA, "rt") as file:
        rows = list(csv.DictReader(file))
    right = {
        model: sum(row[model] == row["answer"] for row in rows) / len(rows)
        for model in (CONTROL, *CANARIES.values())
    }
    upstream = Recorded(rows).url
    print(header("Rollouts end to end"))
    for kind, model in CANARIES.items():
        print(f"- {kind}: {model} {right[model]:.1%}, control {CONTROL} {right[CONTROL]:.1%}: "
              f"{100 * (right[model] - right[CONTROL]):+.1f} points")  # fmt: skip
    print(f"\nMargin 8 points, back at 16, steps 20 %, 50 %, 100 %; about {options.rate:g} requests/s.\n")
    print(
        "| canary | seed | end | s | canary + control units | effect (95 %) | asked | errors seen | after the end, s |"
    )
    print("|---|---:|---|---:|---:|---:|---:|---:|---:|")
    broken = 0
    for seed in range(1, options.runs + 1):
        for kind in [options.only] if options.only else CANARIES:
            told = asyncio.run(one(kind, seed, rows, upstream, options.rate))
            low, high = (100 * end for end in told["interval"])
            print(
                f"| {kind} | {seed} | {told['state']} | {told['took_s']:.0f} | "
                f"{told['units']['canary']:,} + {told['units']['control']:,} | "
                f"{100 * told['effect']:+.1f} ({low:+.1f} to {high:+.1f}) | {told['asked']:,} | {told['failed']} | "
                f"{told['late_s']:.1f} |",
                flush=True,
            )
            incident = told["incidents"] == (kind == "bad") and bool(told["reviews"]) == (kind == "bad")
            fine = told["state"] == WANTED[kind] and not told["failed"] and told["late_s"] <= 2.0 and incident
            broken += not fine
    print(f"\n{broken} runs broke a bound." if broken else "\nEvery run ended as it should.")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
