"""A project of plain code in a folder, and the command line as a user types it: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPEC = """\
feature: echo
run: echo:echo
baseline: old
variants:
  old: {flip: 0.10}
  same: {flip: 0.1001}
  worse: {flip: 0.60}
  perfect: {flip: 0.0}
  slow: {flip: 0.0, pause: 0.15}
  down: {flip: 0.0, raises: true}
  crazy: {flip: 0.0, hostile: true}
cases: CASES
checks:
  right: {score: exact, max_drop: 10 points}
"""

# Whether a text is answered wrongly depends on the text and the variant alone. Calls are written down.
CODE = """\
import asyncio
import hashlib
from pathlib import Path

from shiftright import variant

CALLS = Path(__file__).with_name("calls.log")


async def echo(text: str) -> str:
    settings = variant("echo")
    with CALLS.open("a") as calls:
        calls.write(f"{settings.name} {text}\\n")
    if settings.get("pause"):
        await asyncio.sleep(settings["pause"])
    if settings.get("raises"):
        raise RuntimeError("this variant is broken")
    if settings.get("hostile"):
        return "\\x1b[31m\\u202egnp.exe <script>alert(1)</script> |@team|`rm`"
    share = int(hashlib.md5(f"{text}{settings['flip']}".encode()).hexdigest()[:8], 16) / 2**32
    return "wrong" if share < settings["flip"] else text
"""

COMMAND = [sys.executable, "-c", "from shiftright.cli import main; main()"]


class Walk:
    """A folder with a contract, its code and its cases."""

    def __init__(
        self, folder: Path, *, cases: int = 120, spec: str = SPEC, splits: str = "cases.jsonl"
    ) -> None:
        self.folder = folder
        (folder / ".shiftright").mkdir()
        (folder / "spec.yaml").write_text(spec.replace("CASES", splits))
        (folder / "echo.py").write_text(CODE)
        self.write_cases("cases.jsonl", [self.case(i) for i in range(cases)])

    @staticmethod
    def case(i: int, **keys: Any) -> dict[str, Any]:
        text = f"hello {i}"
        return {"id": f"c{i}", "input": text, "expected": text, "tags": ["odd" if i % 2 else "even"], **keys}

    def write_cases(self, name: str, rows: list[dict[str, Any]]) -> None:
        (self.folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls.log"
        return path.read_text().splitlines() if path.exists() else []

    def run(
        self, *words: str, records_url: str | None = None, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        env = self.env() | ({"SHIFTRIGHT_RECORDS_URL": records_url} if records_url else {})
        return subprocess.run(
            [*COMMAND, *words], cwd=self.folder, env=env, capture_output=True, text=True, timeout=60, **more
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def eval(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Exit code and the one JSON document on stdout."""
        done = self.run("eval", "echo", *words, "--json")
        return done.returncode, json.loads(done.stdout)

    def env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SHIFTRIGHT_")}
        return {**kept, "NO_COLOR": "1", "COLUMNS": "100"}


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Until it holds; fails after a while."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
