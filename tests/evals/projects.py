"""Small projects with plain-code features, for the evaluation tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shiftright.evals.evaluate import evaluate
from shiftright.evals.options import EvalRun, Options
from shiftright.settings import Settings
from shiftright.store import Records, open_records

SPEC = """\
feature: echo
run: echo:echo
baseline: old
variants:
  old: {flip: 0.10}
  same: {flip: 0.1001}
  worse: {flip: 0.45}
  perfect: {flip: 0.0}
cases: cases.jsonl
checks:
  right: {score: exact, max_drop: 10 points}
"""

# Whether a text is answered wrongly depends on the text and the variant alone. Calls are written down.
CODE = """\
import hashlib
from pathlib import Path

from shiftright import variant

CALLS = Path(__file__).with_name("calls.log")

async def echo(text: str) -> str:
    settings = variant("echo")
    with CALLS.open("a") as calls:
        calls.write(f"{settings.name} {text}\\n")
    share = int(hashlib.md5(f"{text}{settings['flip']}".encode()).hexdigest()[:8], 16) / 2**32
    return "wrong" if share < settings["flip"] else text
"""


class Project:
    """A folder with a spec, its code and its cases."""

    def __init__(self, folder: Path, spec: str = SPEC, code: str = CODE, cases: int = 400) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".shiftright").mkdir(exist_ok=True)
        (folder / "spec.yaml").write_text(spec)
        (folder / "echo.py").write_text(code)
        self.write_cases([self.case(i) for i in range(cases)])

    @staticmethod
    def case(i: int, **keys: Any) -> dict[str, Any]:
        return {
            "id": f"c{i}",
            "input": f"hello {i}",
            "expected": f"hello {i}",
            "tags": ["odd" if i % 2 else "even"],
            **keys,
        }

    def write_cases(self, rows: list[dict[str, Any]], name: str = "cases.jsonl") -> None:
        (self.folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls.log"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def settings(self) -> Settings:
        return Settings.load(self.folder, env={})

    @contextmanager
    def records(self) -> Iterator[Records]:
        with open_records(self.settings.records_url) as records:
            yield records

    def evaluate(self, variant: str | None = None, **options: Any) -> EvalRun:
        with self.records() as records:
            return asyncio.run(evaluate("echo", self.settings, records, Options(variant=variant, **options)))

    def forget_records(self) -> None:
        """What a fresh CI runner has: the folder, the committed lock, no records."""
        for path in (self.folder / ".shiftright").iterdir():
            path.unlink()


def outage(
    project: Project, variant: str, message: str = "ProviderError('503')", texts: Sequence[str] = ()
) -> None:
    """The provider is down for a variant (on some texts) as long as the file ``down.log`` is there."""
    down = f"""\
    from shiftright.errors import ProviderError
    down = CALLS.with_name("down.log")
    if settings.name == {variant!r} and down.exists() and text in (down.read_text().splitlines() or [text]):
        raise {message}
"""
    (project.folder / "echo.py").write_text(CODE.replace("    share =", f"{down}    share ="))
    (project.folder / "down.log").write_text("\n".join(texts))
