"""The runner beside its peers: the same cases, feature and comparison, each in the process of the peer's own command.

    python benchmarks/peers.py [--cases 2000] [--rounds 3] [--only bare,ragas] [--venvs DIR]

CPU is user + system: of shiftright and promptfoo that of the whole process, of the others that since their
imports; less, of all, that of 10-case runs right before it. Medians of the rounds, the runners visited in turn. Each
peer is installed into an environment of its own under DIR (default: a temporary folder); one that cannot be installed
or does not finish is listed with the reason. Exit 1 when shiftright takes more than 100 µs a case at 0 ms (runner.py
looks closer), or anything but 1 % of the calls when 1 % of the cases changed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from heading import header
from runner import CONCURRENCY, EVAL, SPEC, measured, write_cases

SCRIPTS = Path(__file__).resolve().parent / "peers"
FEWEST = 10
STARTS = 3  # runs of the fewest cases a round
AGAIN = 500  # DeepEval's cost with its cache on grows faster than the cases: 2,000 would take many minutes
LATENCIES = (0.0, 0.05)
TRIVIAL = """\
import asyncio, atexit, os, pathlib

LATENCY = float(os.environ["LATENCY"])
calls = 0
atexit.register(lambda: pathlib.Path("calls.log").write_text(str(calls)))

async def trivial(text: str) -> str:
    global calls
    calls += 1
    if LATENCY:
        await asyncio.sleep(LATENCY)
    return text if int(text[1:]) % 2 else "no"
"""
Figures = dict[str, float]


class Unusable(Exception):
    """A peer that cannot be measured here: why."""


@dataclass
class Runner:
    """How one runner is installed and run. ``keeps`` is what is left on disk when it has ended."""

    keeps: str
    packages: tuple[str, ...] = ()
    script: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    caches: bool = False
    version: str = ""

    def install(self, folder: Path) -> None:
        python = folder / "bin" / "python"
        if not python.exists():
            command([sys.executable, "-m", "venv", str(folder)])
        command([str(python), "-m", "pip", "install", "-q", *self.packages])
        name = re.split("[<=>]", self.packages[0])[0]
        asked = f"from importlib.metadata import version; print(version({name!r}))"
        self.version = command([str(python), "-c", asked]).strip()
        self.argv = [str(python), str(SCRIPTS / self.script)]

    def right(self, out: str) -> int:
        """How many answers it found right."""
        found = re.search(r"^right=(\d+)$", out, re.MULTILINE)
        return int(found[1]) if found else -1


class Promptfoo(Runner):
    """A Node program; it asks for Node 22.22 or newer, which comes from npm where there is an older one."""

    def install(self, folder: Path) -> None:
        if shutil.which("npm") is None:
            raise Unusable("npm is not installed")
        chip = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        node = f"node-{platform.system().lower()}-{chip}"
        path = f"{folder / 'node_modules' / node / 'bin'}{os.pathsep}{os.environ['PATH']}"
        npm = ["env", f"PATH={path}", "npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder)]
        package = folder / "node_modules" / "promptfoo"
        if not package.exists():
            folder.mkdir(parents=True, exist_ok=True)
            command([*npm, f"{node}@24"])
            command([*npm, *self.packages])
        self.version = json.loads((package / "package.json").read_text())["version"]
        program = [
            str(folder / "node_modules" / node / "bin" / "node"),
            str(package / "dist/src/main.js"),
            "eval",
        ]
        where = ["-c", str(SCRIPTS / "promptfoo" / "promptfooconfig.yaml"), "-j", str(CONCURRENCY)]
        self.argv = [*program, *where, "--no-progress-bar", "--no-table"]

    def right(self, out: str) -> int:
        found = re.search(r"([\d,]+) passed", out)
        return int(found[1].replace(",", "")) if found else -1


class Ours(Runner):
    def install(self, folder: Path) -> None:
        self.version, self.argv = "this checkout", EVAL

    def right(self, out: str) -> int:
        found = json.loads(out)
        [check] = found["checks"]
        return round(check["estimate"] * check["n"])


class Bare(Runner):
    def install(self, folder: Path) -> None:
        self.version, self.argv = platform.python_version(), [sys.executable, str(SCRIPTS / self.script)]


RUNNERS: dict[str, Runner] = {
    "bare": Bare("JSON Lines (the limit: a plain asyncio loop)", script="bare.py"),
    "shiftright": Ours("answers, scores, evidence, verdict (SQLite)", caches=True),
    "ragas": Runner(
        "nothing",
        # ragas 0.4 imports a module that langchain-community 0.4 left out
        ("ragas", "langchain-community<0.4"),
        "on_ragas.py",
        {"RAGAS_DO_NOT_TRACK": "true"},
    ),
    "Langfuse": Runner(
        "nothing (no server, tracing off)",
        ("langfuse",),
        "on_langfuse.py",
        {
            "LANGFUSE_TRACING_ENABLED": "false",
            "LANGFUSE_PUBLIC_KEY": "pk-lf-x",
            "LANGFUSE_SECRET_KEY": "sk-lf-x",
        },
    ),
    "pydantic-evals": Runner("nothing", ("pydantic-evals",), "on_pydantic_evals.py"),
    "DeepEval": Runner(
        "nothing; the scores when its cache is on",
        ("deepeval",),
        "on_deepeval.py",
        {"DEEPEVAL_TELEMETRY_OPT_OUT": "YES"},
        caches=True,
    ),
    "promptfoo": Promptfoo(
        "results (SQLite)",
        ("promptfoo",),
        environment={
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0",
        },
        caches=True,
    ),
    "inspect-ai": Runner("results and transcripts (log)", ("inspect-ai",), "on_inspect_ai.py", caches=True),
}


def command(argv: Sequence[str]) -> str:
    """What it printed.

    Raises:
        Unusable: with the last line of its complaint.
    """
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=900, check=False)
    except subprocess.TimeoutExpired:
        raise Unusable(f"{Path(argv[0]).name} took more than 15 minutes") from None
    if done.returncode:
        raise Unusable(((done.stderr or done.stdout).strip().splitlines() or ["no word"])[-1])
    return done.stdout


def fresh(n: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="shiftright-peers-"))
    (folder / ".shiftright").mkdir()
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "trivial.py").write_text(TRIVIAL)
    write_cases(folder, n)
    return folder


def run(runner: Runner, folder: Path, n: int, latency: float, *, cache: bool = False) -> Figures:
    """One process in the folder, with its home there: CPU s (``whole``, and ``cpu`` since a peer's imports, which vary
    by more than a light runner costs), wall s, peak KB, calls of the feature.

    Raises:
        Unusable: when it failed or did not find half of the answers right.
    """
    own = {
        "HOME": str(folder),
        "FOLDER": str(folder),
        "CONCURRENCY": str(CONCURRENCY),
        "CACHE": str(int(cache)),
    }
    settings = [f"{key}={value}" for key, value in (own | runner.environment).items()]
    counted = folder / "calls.log"
    counted.unlink(missing_ok=True)  # a runner that has every answer may never import the feature
    try:
        figures, out = measured(["env", *settings, *runner.argv], folder, latency)
    except SystemExit as ended:
        raise Unusable(" ".join(str(ended).split())[-300:].replace("|", "/")) from None
    if runner.right(out) != n // 2:
        raise Unusable(f"found {runner.right(out)} of {n} answers right, not {n // 2}")
    inside = re.search(r"^cpu=(\S+)$", out, re.MULTILINE)
    figures["whole"] = figures["cpu"]
    figures["cpu"] = float(inside[1]) if inside else figures["whole"]
    return {**figures, "calls": float(counted.read_text()) if counted.exists() else 0.0}


def first(runner: Runner, n: int, latency: float) -> Figures:
    folder = fresh(n)
    try:
        return run(runner, folder, n, latency)
    finally:
        shutil.rmtree(folder)


def again(runner: Runner, n: int) -> dict[str, Figures]:
    """The first run with the cache on; a second with nothing changed; a third with 1 % of the cases changed."""
    folder, made = fresh(n), {}
    try:
        made["first"] = run(runner, folder, n, 0, cache=True)
        made["same"] = run(runner, folder, n, 0, cache=True)
        write_cases(folder, n, changed=n // 100)
        made["changed"] = run(runner, folder, n, 0, cache=True)
        return made
    finally:
        shutil.rmtree(folder)


class Table:
    """Figures by (runner, kind of run, size), as they come in; a runner that fails is out from there on."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, int], list[Figures]] = {}
        self.unusable: dict[str, str] = {}

    def add(self, name: str, n: int, kinds: dict[str, Figures]) -> None:
        for kind, figures in kinds.items():
            self.rows.setdefault((name, kind, n), []).append(figures)

    def median(self, name: str, kind: str, n: int, key: str) -> float:
        return statistics.median(row[key] for row in self.rows[name, kind, n])

    def less_start(self, name: str, kind: str, n: int, key: str) -> float:
        """Median over the rounds of a run less the starts measured right before it: neighbours come and go."""
        starts = [row[key] for row in self.rows[name, "start", FEWEST]]
        whole = [row[key] for row in self.rows[name, kind, n]]
        return statistics.median(
            value - statistics.median(starts[STARTS * place : STARTS * (place + 1)])
            for place, value in enumerate(whole)
        )

    def case(self, name: str, kind: str, n: int) -> float:
        """CPU µs a case."""
        return self.less_start(name, kind, n, "cpu") / (n - FEWEST) * 1e6


def measure(runners: dict[str, Runner], n: int, rounds: int) -> Table:
    table = Table()
    for number in range(rounds):
        for name, runner in runners.items():
            if name in table.unusable:
                continue
            print(f"round {number + 1}: {name}", file=sys.stderr, flush=True)
            try:
                if number == 0:
                    first(runner, FEWEST, 0)  # compiles what it imports, and shows whether it runs at all
                    table.add(name, AGAIN, again(runner, AGAIN) if runner.caches else {})
                for _ in range(STARTS):
                    table.add(name, FEWEST, {"start": first(runner, FEWEST, 0)})
                table.add(name, n, {str(latency): first(runner, n, latency) for latency in LATENCIES})
            except Unusable as why:
                table.unusable[name] = str(why)
    return table


def overhead(table: Table, runners: dict[str, Runner], n: int) -> list[str]:
    lines = [
        "| runner | version | CPU ÷ bare loop | CPU µs a case | at 50 ms | wall ÷ ideal at 50 ms | peak MB | keeps |",
        "|---|---|---|---|---|---|---|---|",
    ]
    quick, slow = map(str, LATENCIES)
    bare = table.case("bare", quick, n)
    for name, runner in runners.items():
        if name in table.unusable:
            lines.append(f"| {name} | {runner.version} | not measured: {table.unusable[name]} | | | | | |")
            continue
        cost = table.case(name, quick, n)
        wall = table.less_start(name, slow, n, "wall")
        ideal = n * LATENCIES[1] / CONCURRENCY
        lines.append(
            f"| {name} | {runner.version} | {cost / bare:.1f}× | {cost:,.0f} | {table.case(name, slow, n):,.0f} | "
            f"{wall / ideal:.2f} | {table.median(name, quick, n, 'peak_kb') / 1024:.0f} | {runner.keeps} |"
        )
    return lines


def rerun(table: Table, runners: dict[str, Runner], n: int) -> list[str]:
    lines = [
        "| runner | first run: CPU s | nothing changed: calls | CPU s | 1 % changed: calls | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for name, runner in runners.items():
        if not runner.caches or name in table.unusable:
            continue
        before, *after = (table.median(name, kind, n, "whole") for kind in ("first", "same", "changed"))
        calls = (table.median(name, kind, n, "calls") for kind in ("same", "changed"))
        cells = " | ".join(f"{made:.0f} | {cpu:.2f}" for made, cpu in zip(calls, after, strict=True))
        lines.append(f"| {name} | {before:.2f} | {cells} |")
    return lines


def broken_bounds(table: Table, n: int) -> list[str]:
    if "shiftright" in table.unusable:
        return [f"shiftright: {table.unusable['shiftright']}"]
    cost, calls = table.case("shiftright", "0.0", n), table.median("shiftright", "changed", AGAIN, "calls")
    found = [f"shiftright takes {cost:.0f} µs a case"] if cost > 100 else []
    return found + ([f"1 % changed made {calls:.0f} calls"] if calls != AGAIN // 100 else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="peers, parted by commas")
    parser.add_argument("--venvs", type=Path, help="keep the environments here")
    arguments = parser.parse_args()
    n = arguments.cases
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    wanted = {*(arguments.only or ",".join(RUNNERS)).split(","), "bare", "shiftright"}
    runners = {name: runner for name, runner in RUNNERS.items() if name in wanted}
    venvs = (
        arguments.venvs.resolve() if arguments.venvs else Path(tempfile.mkdtemp(prefix="shiftright-venvs-"))
    )
    missing = {}
    try:
        for name, runner in runners.items():
            print(f"install {name}", file=sys.stderr, flush=True)
            try:
                runner.install(venvs / name.lower())
            except Unusable as why:
                missing[name] = f"does not install here: {why}"
        table = measure(
            {name: runner for name, runner in runners.items() if name not in missing}, n, arguments.rounds
        )
    finally:
        if arguments.venvs is None:
            shutil.rmtree(venvs)
    table.unusable |= missing
    print(header("Overhead of a run, beside peers"))
    print(
        f"{n:,} cases, {CONCURRENCY} at a time, the feature mocked in process, exact match; medians of "
        f"{arguments.rounds} rounds. CPU: shiftright and promptfoo whole processes, the others since their imports; "
        f"less, of all, a {FEWEST}-case run.\n"
    )
    print("\n".join(overhead(table, runners, n)))
    print(f"\n## Run again with the cache on: {AGAIN} cases, once, whole processes\n")
    print("\n".join(rerun(table, runners, AGAIN)))
    print("\nDeepEval is handed outputs, so its user makes every call again; its cache keeps scores.")
    broken = broken_bounds(table, n)
    print("\nA bound is broken: " + "; ".join(broken) if broken else "\nEvery bound holds.")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
