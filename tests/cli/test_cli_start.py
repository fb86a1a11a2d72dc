"""What starting costs, and what it must not import."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

# not pydantic: newer Typers read a command line with it
HEAVY = {"numpy", "pydantic_ai", "sqlalchemy", "alembic", "jinja2", "rich"}
LIMIT_S = 0.4


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    (folder / ".shiftright").mkdir()
    subprocess.run([*command("init")], cwd=folder, check=True, capture_output=True)
    return folder


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", "from shiftright.cli import main; main()", *words]


@pytest.mark.parametrize("words", [("--help",), ("check",), ("--version",), ("eval", "--help")], ids=" ".join)
def test_starting_is_quick(project: Path, words: tuple[str, ...]) -> None:
    times = []
    for _ in range(3):  # the machine may be busy; the quickest tells what the code costs
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command(*words), cwd=project, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) <= LIMIT_S


@pytest.mark.parametrize("words", [("--help",), ("check",), ("check", "--json")], ids=" ".join)
def test_the_light_path_imports_nothing_heavy(project: Path, words: tuple[str, ...]) -> None:
    code = (
        "import json, sys\nfrom shiftright.cli._main import run\n"
        f"run({list(words)!r})\nsys.stderr.write(json.dumps([m.split('.')[0] for m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, check=True, capture_output=True, text=True
    )
    loaded = set(json.loads(done.stderr))
    assert not loaded & HEAVY
    assert "feature" not in loaded, "check runs no code of the feature"


def test_the_package_itself_imports_nothing() -> None:
    code = "import time\nt = time.process_time()\nimport shiftright\nprint(time.process_time() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
        for _ in range(3)
    ]
    assert min(times) < 0.02
