"""One rollout as the process follows it that holds its lease: units that wait, the log, the rollout's own clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from shiftright.ship.canary import Canary, Move
from shiftright.ship.outcomes import Unit, outcomes
from shiftright.store import Records
from shiftright.store.rows import ExposureRow, FollowedRow

_PAGE = 10_000
_LONGEST_GAP_S = 3_600.0


class Clock(msgspec.Struct, frozen=True):
    """``wall`` says seconds since 1970 and may be set; ``steady`` never jumps and means nothing elsewhere."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


class Following:
    """What is known of an open rollout between ticks. Can be thrown away at any time: the log is its memory.

    Time is the rollout's own: it runs steadily while somebody follows, and what passed between two who did is believed
    of the wall clock up to an hour. So a clock that is set neither ends a rollout nor holds it up.
    """

    def __init__(self, row: FollowedRow, clock: Clock) -> None:
        known = row.evidence
        self.rollout = row.rollout
        self._clock = clock
        self._steady = clock.steady()
        gap = clock.wall() - float(known.get("ticked_at", row.rollout.started_at))
        self._elapsed_s = float(known.get("elapsed_s", 0.0)) + min(max(gap, 0.0), _LONGEST_GAP_S)
        self._at_step = (row.rollout.state, row.rollout.step)
        same = tuple(known.get("step", ())) == self._at_step
        self._step_since_s = float(known["step_since_s"]) if same else self._elapsed_s
        self._after = int(known.get("after", 0))
        self._fresh = True
        self._waiting: dict[str, Unit] = {}
        self.canary = Canary(row.rollout.plan)

    def tick(self, row: FollowedRow, records: Records) -> tuple[Move | None, dict[str, Any]]:
        """Read what is new, log what is due, and say where to go; the evidence is stored.

        Raises:
            StoreError: the records cannot be used now, or another process follows too. Throw this away then.
        """
        self.rollout = row.rollout
        self._pass_time()
        self._catch_up(records)
        self._read(records)
        due = self._due()
        rows = outcomes(due, self.rollout.plan.checks, records, self.canary.position)
        self.canary.feed(rows)
        for each in rows:
            del self._waiting[each.unit]
        move = self.canary.next_move(self.rollout, self._elapsed_s, self._elapsed_s - self._step_since_s)
        known = self._known(move)
        records.rollouts.follow(self.rollout.id, rows, known)
        return move, known

    def _pass_time(self) -> None:
        now = self._clock.steady()
        self._elapsed_s += now - self._steady
        self._steady = now
        if self._at_step != (self.rollout.state, self.rollout.step):
            self._at_step = (self.rollout.state, self.rollout.step)
            self._step_since_s = self._elapsed_s

    def _catch_up(self, records: Records) -> None:
        while rows := records.rollouts.outcomes(self.rollout.id, since=self.canary.position, limit=_PAGE):
            self.canary.feed(rows)

    def _read(self, records: Records) -> None:
        while True:
            rows = records.rollouts.exposures(self.rollout.id, after=self._after, limit=_PAGE)
            new = {each.unit for each in rows} - self._waiting.keys()
            entered = records.rollouts.entered(self.rollout.id, sorted(new))
            for each in rows:
                self._after = each.number
                if each.unit not in entered and (each.probability > 0.0 or self.rollout.state == "shadow"):
                    self._wait(each)
            if len(rows) < _PAGE:
                break
        self._fresh = False

    def _wait(self, request: ExposureRow) -> None:
        unit = self._waiting.get(request.unit)
        if unit is None:
            # who takes over asks the wall clock once how long a unit has waited; it may wait again, never for ever
            waited = self._clock.wall() - request.at if self._fresh else 0.0
            since = self._elapsed_s - min(max(waited, 0.0), self.rollout.plan.outcome_after_s)
            self._waiting[request.unit] = Unit(request, since, [request])
        elif len(unit.requests) < Unit.MOST:
            unit.requests.append(request)

    def _due(self) -> list[Unit]:
        """In the order of their first requests."""
        before = self._elapsed_s - self.rollout.plan.outcome_after_s
        return [unit for unit in self._waiting.values() if unit.since_s <= before]

    def _known(self, move: Move | None) -> dict[str, Any]:
        first = min((unit.first.number for unit in self._waiting.values()), default=self._after + 1)
        known = self.canary.as_data(self.rollout, self._elapsed_s)
        return known | {
            "elapsed_s": self._elapsed_s,
            "ticked_at": self._clock.wall(),
            "step": list(self._at_step),
            "step_since_s": self._step_since_s,
            "after": first - 1,
            "waiting": len(self._waiting),
            "move": None if move is None else msgspec.to_builtins(move),
        }
