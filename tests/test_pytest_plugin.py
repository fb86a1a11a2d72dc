"""The pytest plugin, in pytest runs of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEC = """\
feature: echo
run: echo:echo
cases: cases.jsonl
checks:
  right: {score: exact, max_drop: 10 points}
"""
GOOD = "def echo(text: str) -> str:\n    return text\n"
BAD = "def echo(text: str) -> str:\n    return text if len(text) % 2 else 'wrong'\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "echo.py").write_text(GOOD)
    (tmp_path / "cases.jsonl").write_text(
        "".join(f'{{"input": "{"x" * i}", "expected": "{"x" * i}"}}\n' for i in range(1, 90))
    )
    (tmp_path / "test_plain.py").write_text("def test_plain():\n    pass\n")
    (tmp_path / ".gitignore").write_text(".shiftright/\n__pycache__/\nshiftright.lock\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "switch", "-q", "-c", "change")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def run(folder: Path, *words: str) -> tuple[int, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SHIFTRIGHT_", "GITHUB_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "shiftright.pytest_plugin", "-p", "no:cacheprovider", *words],
        cwd=folder,
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def test_it_stays_away_unless_asked(project: Path) -> None:
    code, said = run(project)
    assert (code, "1 passed" in said) == (0, True), said
    assert not (project / ".shiftright").exists()


def test_loading_it_imports_nothing_else() -> None:
    told = (
        "import sys, pytest; before = set(sys.modules); import shiftright.pytest_plugin; "
        "print(sorted(m for m in set(sys.modules) - before if m.startswith('shiftright')))"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['shiftright', 'shiftright.pytest_plugin']"


def test_a_contract_that_nothing_touches_passes(project: Path) -> None:
    code, said = run(project, "--shiftright", "-v")
    assert (code, "2 passed" in said) == (0, True), said
    assert "spec.yaml" in said


def test_harm_fails_and_says_why(project: Path) -> None:
    (project / "echo.py").write_text(BAD)
    code, said = run(project, "spec.yaml")
    assert (code, "1 failed" in said) == (1, True), said
    assert "merge? no · release? fail" in said
    assert "a loss is proven" in said
    assert "shiftright show r-" in said
    assert "Traceback" not in said


def test_a_release_may_be_required(project: Path) -> None:
    (project / "cases.jsonl").write_text('{"input": "x", "expected": "x"}\n')
    git(project, "commit", "-q", "-a", "-m", "few")
    git(project, "branch", "-f", "main", "HEAD")
    (project / "echo.py").write_text(GOOD.replace("text", "words"))
    assert run(project, "spec.yaml")[0] == 0
    code, said = run(project, "spec.yaml", "--shiftright-require", "release")
    assert (code, "inconclusive" in said) == (1, True), said


def test_what_is_wrong_with_a_contract_is_said_in_a_sentence(project: Path) -> None:
    (project / "spec.yaml").write_text(SPEC.replace("exact", "exakt"))
    code, said = run(project, "spec.yaml")
    assert code == 1
    assert "exakt" in said
    assert "Traceback" not in said
