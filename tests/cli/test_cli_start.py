"""What starting must not import. What it costs is measured by benchmarks/start.py: a busy machine fails no test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

# not pydantic: newer Typers read a command line with it
HEAVY = {"numpy", "pydantic_ai", "sqlalchemy", "alembic", "jinja2", "rich"}
HEAVY |= {"duckdb", "granian", "fastapi", "aiohttp", "pyreqwest", "opentelemetry", "google"}
WORDS = [
    ("--help",),
    ("--version",),
    ("eval", "--help"),
    ("serve", "--help"),
    ("check",),
    ("check", "--json"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    (folder / ".shiftright").mkdir()
    subprocess.run([*command("init")], cwd=folder, check=True, capture_output=True)
    return folder


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", "from shiftright.cli import main; main()", *words]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
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
    code = "import sys; before = {*sys.modules}; import shiftright; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "shiftright" in loaded
    assert not [name for name in loaded if name.startswith("shiftright.")]
    assert {name.split(".")[0] for name in loaded} <= sys.stdlib_module_names | {"shiftright"}
