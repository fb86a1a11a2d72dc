"""What README shows is what happens."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shiftright import load_spec

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
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


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_the_output_of_compare_is_real(tmp_path: Path) -> None:
    [shown] = blocks("console")
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
