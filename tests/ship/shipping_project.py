"""A project whose rollouts are driven without a server: records, a contract, and a clock that is told the time."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.ship.releasing import freeze

from shiftright import spec as specs
from shiftright.core.rollout import Rollout, assign, unit_id
from shiftright.core.score import Score
from shiftright.core.spec import Spec
from shiftright.ship import rollouts
from shiftright.ship.following import Clock
from shiftright.ship.ticking import Ticker
from shiftright.store import open_records
from shiftright.store.rows import ExposureRow, ScoreRow

SPEC = """\
feature: triage
cases: cases.jsonl
owner: {is: support@example.com}
variants:
  old: {model: "openai:old"}
  new: {model: "openai:new"}
baseline: old
checks:
  json: {score: regex, pattern: "^ok", at_least: 90%}
ship: {steps: [10%, 50%, 100%], back_if_drop: 10 points, give_up: 2 days, outcome_after: 60 s}
"""


class Told:
    """Both clocks of a process; ``pass_`` lets time go by, ``set`` turns the wall clock alone."""

    def __init__(self) -> None:
        self.wall_s, self.steady_s = time.time(), 100.0
        self.clock = Clock(lambda: self.wall_s, lambda: self.steady_s)

    def pass_(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds

    def set(self, by_s: float) -> None:
        self.wall_s += by_s


class Project:
    def __init__(self, folder: Path, text: str = SPEC) -> None:
        self.folder = folder
        (folder / ".shiftright").mkdir(exist_ok=True)
        (folder / "cases.jsonl").write_text('{"input": "a"}\n', encoding="utf-8")
        (folder / "spec.yaml").write_text(text, encoding="utf-8")
        self.url = f"sqlite:///{folder / '.shiftright' / 'records.db'}"
        self.records = open_records(self.url)
        self.told = Told()
        self.random = random.Random(7)
        self._number = 0

    @property
    def spec(self) -> Spec:
        return specs.load(self.folder / "spec.yaml")

    def ticker(self) -> Ticker:
        return Ticker(self.records, clock=self.told.clock)

    def begin(self, variant: str = "new") -> Rollout:
        """Roll out a variant that nobody has proven."""
        return rollouts.begin(self.spec, freeze(self.spec, variant, self.records), self.records)

    def rollout(self) -> Rollout:
        return self.records.rollouts.list("triage")[0].rollout

    def serve(
        self,
        users: int,
        *,
        canary: float,
        control: float,
        failing: float = 0.0,
        scored: bool = True,
        wrong_arms: bool = False,
    ) -> None:
        """Requests of so many new users, answered as the rollout says, each right with its arm's probability."""
        rollout = self.rollout()
        rows, scores = [], []
        for _ in range(users):
            self._number += 1
            unit, trace_id = f"user-{self._number}", f"{self._number:032x}"
            arm = assign(rollout.salt, unit, 0.9 if wrong_arms else rollout.share)
            failed = arm == "canary" and self.random.random() < failing
            right = not failed and self.random.random() < (canary if arm == "canary" else control)
            rows.append(
                ExposureRow(
                    rollout_id=rollout.id,
                    trace_id=trace_id,
                    unit=unit_id(rollout.salt, unit),
                    arm=arm,
                    probability=rollout.share,
                    at=self.told.wall_s,
                    latency_s=0.1,
                    cost_usd=0.001,
                    failed=failed,
                )
            )
            if scored:
                score = Score("json", value=float(right))
                scores.append(
                    ScoreRow(trace_id=trace_id, feature="triage", score=score, created_at=self.told.wall_s)
                )
        self.records.rollouts.expose(rows)
        self.records.scores.add(scores)

    def run(self, ticker: Ticker, rounds: int = 100, *, users: int = 200, **worth: float) -> Rollout:
        """Traffic and ticks until the rollout ends, two minutes a round."""
        for _ in range(rounds):
            if self.rollout().state != "canary":
                break
            self.serve(users, **worth)  # type: ignore[arg-type]
            self.told.pass_(120.0)
            ticker.tick()
        return self.rollout()
