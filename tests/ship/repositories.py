"""A git repository with one feature of plain code whose quality its prompt decides, and fresh clones of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from shiftright.app import App
from shiftright.ship.gate import Gate

SPEC = """\
feature: echo
owner: {is: ada@example.com, sign_off: [legal]}
run: echo:echo
baseline: plain
variants:
  plain: {prompt: prompt.md}
  other: {prompt: other.md}
cases: {gate: gate.jsonl, must: must.jsonl}
checks:
  right: {score: exact, max_drop: 5 points}
"""

# A prompt with "quickly" costs every third answer. Calls are counted beside the repository; the code does not say where:
# the order of the cases, and so a close verdict, depends on the code.
CALLS = "ECHO_CALLS"
CODE = """\
import os
from pathlib import Path

from shiftright import variant

import shared

HERE = Path(__file__).parent


def echo(text: str) -> str:
    settings = variant("echo")
    with open(os.environ["ECHO_CALLS"], "a") as calls:
        calls.write(f"{settings.name}\\n")
    hasty = "quickly" in (HERE / settings["prompt"]).read_text()
    number = int(text.split()[1])
    return shared.WRONG if hasty and number % 3 == 0 else text
"""
COMMAND = [sys.executable, "-c", "from shiftright.cli import main; main()"]
CASES = 150


class Repository:
    """``folder`` is a checkout; ``calls`` counts what the feature was called with in it and in its clones."""

    def __init__(self, folder: Path, counted: Path) -> None:
        self.folder, self.counted = folder, counted

    @classmethod
    def made(cls, folder: Path, spec: str = SPEC, **files: str) -> Repository:
        """One commit on main: contract, code, prompts, cases."""
        counted = folder.with_name(f"{folder.name}-calls")
        made = cls(folder, counted)
        folder.mkdir(parents=True)
        texts = {
            "spec.yaml": spec,
            "echo.py": CODE,
            "shared.py": 'WRONG = "wrong"\n',
            "prompt.md": "Say it back.",
            "other.md": "Say it back again.",
            "gate.jsonl": rows(CASES),
            "must.jsonl": rows(1, "m"),
            ".gitignore": ".shiftright/\n",
        }
        made.git("init", "-q", "-b", "main")
        made.commit("first", **texts, **files)
        return made

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *who, *words], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, message: str, **files: str) -> None:
        self.write(**files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def branch(self, name: str, **files: str) -> None:
        """A pull request: a branch off main with one commit."""
        self.git("switch", "-q", "-c", name, "main")
        self.commit(name, **files)

    def clone(self, to: Path) -> Repository:
        """What a fresh CI runner has: the branch, the main line as ``origin/main``, no records."""
        subprocess.run(["git", "clone", "-q", str(self.folder), str(to)], check=True, capture_output=True)
        runner = Repository(to, self.counted)
        runner.git("remote", "set-head", "origin", "main")
        return runner

    @property
    def calls(self) -> list[str]:
        return self.counted.read_text().splitlines() if self.counted.exists() else []

    def forget_calls(self) -> None:
        self.counted.unlink(missing_ok=True)

    def forget_records(self) -> None:
        shutil.rmtree(self.folder / ".shiftright", ignore_errors=True)

    def gate(self, **options: Any) -> Gate:
        """In this process."""
        with App.here(self.folder) as app:
            return asyncio.run(app.gate(**options))

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """The command line, in a process of its own."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("SHIFTRIGHT_", "GITHUB_"))
        }
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env={**kept, "NO_COLOR": "1", "COLUMNS": "100", **env},
            capture_output=True,
            text=True,
            timeout=60,
        )


def rows(count: int, prefix: str = "c", **keys: Any) -> str:
    texts = [(f"{prefix}{i}", f"hello {i + (prefix != 'c')}") for i in range(count)]
    return "".join(
        json.dumps({"id": id_, "input": text, "expected": text, **keys}) + "\n" for id_, text in texts
    )
