"""What README shows is what happens."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from shiftright import load_spec

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ID = re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{12}\b|\b[fv]-[0-9a-z]{13}\b")
"""Differs from run to run: a trace's, a case's, a feedback's, a review's."""
EXAMPLES = ROOT / "src" / "shiftright" / "examples"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def shiftright(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shiftright", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "120", "PYTHONPATH": str(ROOT / "src")},
    )


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "shiftright", "serve", "--json", "--port", "0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src")},
    )
    try:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.terminate()
        server.communicate(timeout=20)


def wait_for(address: str) -> None:
    for _ in range(100):
        if httpx.get(address).status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError(address)


def with_ids(text: str, ids: dict[str, str]) -> str:
    return ID.sub(lambda found: ids.get(found[0], found[0]), text)


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_the_output_of_compare_is_real(tmp_path: Path) -> None:
    shown = blocks("console")[0]
    command, _, expected = shown.partition("\n")
    for path in (EXAMPLES / "compare").glob("m*.jsonl"):
        shutil.copy(path, tmp_path)
    words = command.removeprefix("$ shiftright ").split()
    done = shiftright(*words, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    real = squeezed(done.stdout)
    for line in expected.splitlines():
        for part in re.split(r"\s{2,}", line.strip()):
            assert squeezed(part) in real, f"README shows {part!r}; the command prints\n{done.stdout}"


def test_the_way_from_a_complaint_to_a_case_is_real(tmp_path: Path) -> None:
    steps = re.findall(r"^\$ (.*)\n([^$]*)", blocks("console")[1], re.MULTILINE)
    assert shiftright("init", "triage", folder=tmp_path).returncode == 0
    ids: dict[str, str] = {}
    with served(tmp_path) as url:
        for command, expected in steps:
            words = shlex.split(with_ids(command, ids))
            if words[0] == "curl":
                *_, address, _, body = words
                real = httpx.post(address.replace("localhost:4000", url), content=body).text
            else:
                real = shiftright(*words[1:], folder=tmp_path).stdout.replace(f"{tmp_path}/", "")
            ids |= zip(ID.findall(expected), ID.findall(real), strict=False)
            for line in with_ids(expected, ids).splitlines():
                assert squeezed(line.strip()) in squeezed(real), f"{command}\nprints\n{real}"
            if '"trace_id"' in real:
                wait_for(f"{url}/api/traces/{ID.findall(real)[0]}")


def test_the_contract_is_one(tmp_path: Path) -> None:
    [contract] = blocks("yaml")
    (tmp_path / "spec.yaml").write_text(contract)
    (tmp_path / "cases.jsonl").write_text('{"input": "a", "expected": "b"}\n')
    spec = load_spec(tmp_path)
    assert [check.name for check in spec.checks] == ["right", "json", "cost", "latency"]


def test_the_figures_are_those_of_the_committed_results() -> None:
    results = ROOT / "benchmarks" / "results"
    cost = (results / "decision_cost.md").read_text(encoding="utf-8")
    assert "Expected calls / limit: 1.27" in cost
    assert "equal power: **0.57**" in cost
    assert "| 1.27 |" in README
    assert "| 0.57 |" in README
    pages = (results / "pages.md").read_text(encoding="utf-8")
    ready = [int(ms) for ms in re.findall(r"^\| .* \| [\d.]+ \| (\d+) ms \|", pages, re.MULTILINE)]
    assert f"| {min(ready)}–{max(ready)} ms |" in README
    telemetry = (results / "telemetry.md").read_text(encoding="utf-8")
    assert "**0 acknowledged spans lost** in 100 kills under load (16,600 acknowledged)" in telemetry
    assert "| acknowledged spans lost in 100 kills under load | 0 of 16,600 |" in README
    gateway = (results / "gateway.md").read_text(encoding="utf-8")
    assert "| shiftright serve | 3.90× | 4,229 | 236 |" in gateway
    assert "4,229 requests/s on one core at 236 µs CPU" in README


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("shiftright ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_shown_has_its_options(line: str, tmp_path: Path) -> None:
    words = line.split("#")[0].split()
    done = shiftright(words[1], "--help", folder=tmp_path)
    assert done.returncode == 0
    for option in re.findall(r"--[a-z-]+", line):
        assert option in done.stdout, f"{line}: no {option}"


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
