"""Does the remembered baseline still hold? A twentieth of it is asked again in every decision.

A provider that changes a model behind its name shifts every difference by the same amount, and nothing in the
differences shows it (statistics.md, section b). So on a random 5 % of the cases whose baseline is remembered, it runs
afresh, and "remembered mean = fresh mean" is tested from both sides with the primitive of every other decision.

It is also the witness of a candidate that has never answered: where the remembered baseline cannot answer here either
(a variable or an index is missing), the candidate is not to blame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec

from shiftright.core.counting import counted
from shiftright.core.spec import Spec
from shiftright.decisions.order import Step
from shiftright.decisions.units import Values
from shiftright.errors import BaselineStale
from shiftright.evals.calling import Caller
from shiftright.evals.scoring import Scoring, values_of
from shiftright.evals.target import quality
from shiftright.evals.work import CaseRun
from shiftright.stats import BoundaryTest

SHARE = 0.05
# A false alarm refreshes the baseline for nothing; one decision in a hundred may.
FALSE_ALARM = 0.01
# The size of a shift the bets aim at: smaller ones take longer to see.
EXPECTED_SHIFT = 0.2
# A test ends at its first answer. "No shift of that size" is none that is asked for, and would hide a smaller one.
NEVER = 1e-300


class ShiftTest:
    """Do differences in [-1, 1] have a mean other than 0? Two sides and every check share the false alarms."""

    def __init__(self, *, checks: int = 1) -> None:
        self._rose, self._fell = (
            BoundaryTest(
                bad=0.0, good=EXPECTED_SHIFT, low=-1.0, high=1.0, alpha=FALSE_ALARM / (2 * checks), beta=NEVER
            )
            for _ in range(2)
        )

    def update(self, difference: float) -> bool:
        """Use one more; whether a shift is proven now."""
        self._rose.update(difference)
        self._fell.update(-difference)
        return "ship" in (self._rose.decision, self._fell.decision)

    @property
    def mean(self) -> float:
        return self._rose.mean or 0.0

    @property
    def n(self) -> int:
        return self._rose.n


class Recheck:
    """Work on a case, then, for the chosen ones, the baseline once more.

    Only answers from before this decision are remembered ones: those of ``its_runs`` are not. ``repeat`` is one that
    nobody has asked for yet. A fresh call or measurement that fails says nothing of what is remembered.

    Raises:
        BaselineStale: from a call, once the remembered scores are shown to hold no longer.
    """

    def __init__(
        self,
        work: Callable[[Step], Awaitable[CaseRun]],
        baseline: Caller,
        scoring: Scoring,
        spec: Spec,
        *,
        its_runs: Collection[str],
        seed: int,
        repeat: int,
    ) -> None:
        self._work, self._baseline, self._scoring = work, baseline, scoring
        self._its_runs, self._seed, self._repeat = its_runs, seed, repeat
        names = [check.name for check in spec.checks if quality(check)]
        self._tests = {name: ShiftTest(checks=len(names)) for name in names}
        self._alive = False

    async def __call__(self, step: Step) -> CaseRun:
        run = await self._work(step)
        if not self._alive and self._remembered(run):
            if all(row.answer.failure is not None for row in run.candidate):
                row = await self._baseline.call(step.case, self._repeat)
                self._alive = row.answer.failure is None
                return msgspec.structs.replace(run, asked_again=(row,), witnessed=True)
            self._alive = True
        if self._tests and self._chosen(step.case.id) and self._remembered(run):
            row = await self._baseline.call(step.case, self._repeat)
            run = msgspec.structs.replace(run, asked_again=(row,))
            if row.answer.failure is None:
                fresh = await self._scoring.score(step.case, row.answer, row.answer, repeat=self._repeat)
                self._compare(run.baseline_values, values_of([fresh]))
        return run

    def _chosen(self, case_id: str) -> bool:
        digest = hashlib.blake2b(f"{self._seed}:fresh:{case_id}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") < SHARE * 2**32

    def _remembered(self, run: CaseRun) -> bool:
        return bool(run.baseline_values) and all(row.run_id not in self._its_runs for row in run.baseline)

    def _compare(self, remembered: dict[str, Values], fresh: dict[str, Values]) -> None:
        for name, test in self._tests.items():
            old, new = _mean(remembered.get(name, ())), _mean(fresh.get(name, ()))
            if old is None or new is None:
                continue
            if test.update(new - old):
                raise BaselineStale(
                    f"the baseline no longer scores on {name} what is remembered of it: "
                    f"{test.mean:+.2f} on {counted(test.n)} asked again",
                    hint="Its remembered answers have been set aside. Run the command again: the baseline runs afresh.",
                )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
