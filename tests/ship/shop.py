"""A small project of a shop that releases: plain code, one file of cases, in git where wanted."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shiftright.evals.evaluate import evaluate
from shiftright.evals.options import EvalRun, Options
from shiftright.settings import Settings
from shiftright.ship import promotion, releasing
from shiftright.ship.promotion import Gate
from shiftright.ship.releasing import Released
from shiftright.store import Records, open_records

CONTRACT = """\
feature: shop
run: shop:answer
owner: {is: shop@example.com, sign_off: [legal]}
variants:
  first: {prompt: prompts/first.md, marks: 1}
  second: {prompt: prompts/second.md, marks: 1}
cases: cases.jsonl
checks:
  right: {score: exact, max_drop: 10 points}
"""
CODE = """\
from pathlib import Path

from shiftright import Context

CALLS = Path(__file__).with_name("calls.log")

async def answer(text: str, ctx: Context) -> str:
    with CALLS.open("a") as calls:
        calls.write(f"{ctx.variant.name}\\n")
    return ctx.prompt().render({"input": text})
"""


class Shop:
    """``first`` repeats the input, and so does ``second``, in other words."""

    def __init__(self, folder: Path, contract: str = CONTRACT, cases: int = 200) -> None:
        self.folder = folder
        (folder / "prompts").mkdir(parents=True)
        (folder / ".shiftright").mkdir()
        self.write("spec.yaml", contract)
        self.write("shop.py", CODE)
        self.write("prompts/first.md", "{{ input }}")
        self.write("prompts/second.md", "{{ input | string }}")
        self.write(".gitignore", ".shiftright/\n__pycache__/\ncalls.log\n")
        rows = ({"id": f"c{i}", "input": f"hello {i}", "expected": f"hello {i}"} for i in range(cases))
        self.write("cases.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def git(self, *words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        done = subprocess.run(
            ["git", *identity, *words], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self) -> str:
        if not (self.folder / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "change")
        return self.git("rev-parse", "HEAD")

    @property
    def calls(self) -> int:
        path = self.folder / "calls.log"
        return len(path.read_text().splitlines()) if path.exists() else 0

    @property
    def settings(self) -> Settings:
        return Settings.load(self.folder, env={})

    @contextmanager
    def records(self) -> Iterator[Records]:
        with open_records(self.settings.records_url) as records:
            yield records

    def evaluate(self, variant: str, **options: object) -> EvalRun:
        with self.records() as records:
            asked = Options(variant=variant, **options)  # type: ignore[arg-type]
            return asyncio.run(evaluate("shop", self.settings, records, asked))

    def release(self, variant: str, by: str = "Ada") -> Released:
        with self.records() as records:
            return releasing.release(self.settings, records, "shop", variant, by=by)

    def gate(self, variant: str) -> Gate:
        with self.records() as records:
            return promotion.gate(self.settings, records, "shop", variant)

    def sign(self, variant: str, role: str, by: str = "Lea") -> None:
        with self.records() as records:
            promotion.sign(self.settings, records, "shop", variant, role=role, by=by)

    def promote(self, variant: str, rollout: str = "") -> str:
        """Without any gate, as a rollout that has been let in does."""
        with self.records() as records:
            digest = releasing.release(self.settings, records, "shop", variant).record.digest
            promotion.promote(records, "shop", digest, rollout=rollout)
        return digest
