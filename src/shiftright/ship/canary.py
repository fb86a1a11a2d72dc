"""The tests of one rollout, fed from its log of outcomes, and what they say by now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Any, Literal

import msgspec

from shiftright.core.counting import counted
from shiftright.core.rollout import Guarded, Plan, Rollout
from shiftright.store.rows import OutcomeRow

LEAVE_AFTER = 100
"""Canary units that have closed at a step before it is left."""
LEAVE_AFTER_S = 60.0
SUSPICION = 2.0
# CanaryTest stops at its own alpha; here promoting and taking back have levels of their own, compared with outside.
_NEVER = 1e-290
_ROOM = 1.5

Cause = Literal["worse", "assignment", "time"]


class CheckEvidence(msgspec.Struct, frozen=True):
    """One check: effect (canary less control) with its 95 % confidence sequence, the e-values beside what they have to
    reach, means and measured units by arm."""

    check: str
    margin: float
    back_if_drop: float
    effect: float | None
    interval: tuple[float, float]
    e_promote: float
    promote_at: float
    e_rollback: float
    rollback_at: float
    control: float | None
    canary: float | None
    control_units: int
    canary_units: int
    units_left: float | None


class Move(msgspec.Struct, frozen=True):
    """Where a rollout goes next, why, and for one that goes back because of what (``check`` "" for no single one)."""

    to: Literal["step", "promoted", "back"]
    reason: str
    cause: Cause | None = None
    check: str = ""


class Canary:
    """Fed with the log in order, whoever wrote it: equal logs, equal evidence. Needs numpy."""

    def __init__(self, plan: Plan) -> None:
        from shiftright.stats import AssignmentTest, BoundaryTest, CanaryTest

        self._plan = plan
        self._tests = {
            g.check: CanaryTest(
                margin=g.margin, rollback_if_worse_by=g.back_if_drop, low=g.low, high=g.high, alpha=_NEVER
            )
            for g in plan.checks
        }
        share = plan.false_red / max(len(plan.checks), 1)
        self._shadows = {
            g.check: BoundaryTest(
                bad=-g.back_if_drop, good=0.0, low=g.low - g.high, high=g.high - g.low, beta=share
            )
            for g in plan.checks
        }
        self._assignment = AssignmentTest()
        self._sums: dict[tuple[str, bool], tuple[float, int]] = {}
        self._squares: dict[str, float] = dict.fromkeys(self._tests, 0.0)
        self._shadow_sums: dict[str, tuple[float, int]] = {}
        self._closed: Counter[float] = Counter()
        self.position = 0
        """The next place in the log."""
        self.shadowed = 0
        self.units = {False: 0, True: 0}
        """Closed units by arm; True is the canary's."""

    def feed(self, rows: Sequence[OutcomeRow]) -> None:
        """The next part of the log."""
        for row in rows:
            assert row.position == self.position  # the log has no gaps: its place is its key
            self.position += 1
        self._feed_shadows([row for row in rows if row.probability == 0.0])
        live = [row for row in rows if row.probability > 0.0]
        if not live:
            return
        self._assignment.update([row.canary for row in live], [row.probability for row in live])
        for row in live:
            self.units[row.canary] += 1
            if row.canary:
                self._closed[row.probability] += 1
        for name, test in self._tests.items():
            seen = [(v, row) for row in live if (v := row.scores.get(name)) is not None]
            if not seen:
                continue
            test.update(
                [value for value, _ in seen],
                canary=[row.canary for _, row in seen],
                probability=[row.probability for _, row in seen],
            )
            for value, row in seen:
                total, n = self._sums.get((name, row.canary), (0.0, 0))
                self._sums[name, row.canary] = total + value, n + 1
                self._squares[name] += value * value

    def _feed_shadows(self, rows: Sequence[OutcomeRow]) -> None:
        self.shadowed += len(rows)
        for name, test in self._shadows.items():
            seen = [value for row in rows if (value := row.scores.get(name)) is not None]
            if seen:
                test.update(seen)
                total, n = self._shadow_sums.get(name, (0.0, 0))
                self._shadow_sums[name] = total + sum(seen), n + len(seen)

    def next_move(self, rollout: Rollout, elapsed_s: float, step_s: float) -> Move | None:
        """None: stay. ``elapsed_s`` since its start, ``step_s`` at this step, by its own clock."""
        move = self._in_shadow() if rollout.state == "shadow" else self._in_canary(rollout, step_s)
        if move is None and elapsed_s >= self._plan.give_up_s:
            return Move("back", self._nothing_proven(rollout), "time")
        return move

    def _in_shadow(self) -> Move | None:
        for name, test in self._shadows.items():
            if test.decision == "block":
                total, n = self._shadow_sums[name]
                said = f"{name} is worse in the shadow: {_points(total / n)} over {counted(n, 'pair')}"
                return Move("back", said, "worse", name)
        if self.shadowed < self._plan.shadow:
            return None
        if self._plan.steps[0] < 1.0:
            return Move("step", f"no harm in {counted(self.shadowed, 'shadow request')}")
        return Move(
            "promoted", f"no harm in {counted(self.shadowed, 'shadow request')}; the plan has no steps"
        )

    def _in_canary(self, rollout: Rollout, step_s: float) -> Move | None:
        if self._assignment.alarm:
            said = f"users do not arrive in the arms as assigned (p = {self._assignment.p_value:.1g}): figures are void"
            return Move("back", said, "assignment")
        rows = self.checks(rollout)
        for row in rows:
            if row.e_rollback >= row.rollback_at:
                said = (
                    f"{row.check} is worse by more than {_points(row.margin, signed=False)}: {_effect(row)}"
                )
                return Move("back", said, "worse", row.check)
        if all(row.e_promote >= row.promote_at for row in rows):
            said = "; ".join(f"{row.check} {_effect(row)}" for row in rows)
            return Move("promoted", f"no check is worse by its margin: {said}")
        steps = self._plan.steps
        last = rollout.step + 1 >= len(steps) or steps[rollout.step + 1] >= 1.0
        calm = all(test.suspicion <= SUSPICION for test in self._tests.values())
        if last or not calm or step_s < LEAVE_AFTER_S or self._closed[rollout.share] < LEAVE_AFTER:
            return None
        return Move("step", f"{counted(self._closed[rollout.share], 'canary unit')} closed without suspicion")

    def _nothing_proven(self, rollout: Rollout) -> str:
        days = self._plan.give_up_s / 86_400.0
        if rollout.state == "shadow":
            said = f"{self.shadowed} of {self._plan.shadow} shadow requests were measured"
        else:
            open_ones = [row for row in self.checks(rollout) if row.e_promote < row.promote_at]
            said = "; ".join(
                f"{row.check} was never measured in {counted(sum(self.units.values()), 'unit')}"
                if row.effect is None
                else f"{row.check} {_effect(row)}"
                for row in open_ones
            )
        return f"nothing proven within {days:g} days: {said}"

    def checks(self, rollout: Rollout) -> list[CheckEvidence]:
        return [self._check(each, rollout) for each in self._plan.checks]

    def _check(self, each: Guarded, rollout: Rollout) -> CheckEvidence:
        test, alpha = self._tests[each.check], self._plan.alpha
        (control, n_control), (canary, n_canary) = (
            self._sums.get((each.check, arm), (0.0, 0)) for arm in (False, True)
        )
        return CheckEvidence(
            check=each.check,
            margin=each.margin,
            back_if_drop=each.back_if_drop,
            effect=test.effect,
            interval=test.interval(),
            e_promote=test.e_promote,
            promote_at=1.0 / alpha,
            e_rollback=test.e_rollback,
            rollback_at=len(self._plan.checks) / alpha,
            control=control / n_control if n_control else None,
            canary=canary / n_canary if n_canary else None,
            control_units=n_control,
            canary_units=n_canary,
            units_left=self._units_left(each.check, each.margin, rollout),
        )

    def _units_left(self, name: str, margin: float, rollout: Rollout) -> float | None:
        """Units until a canary that equals the control is probably promoted on this check; None where none was seen.

        The fixed-size test's number by the outcomes seen, with room for deciding early, less what is there."""
        from shiftright.stats import fixed_size

        test, share = self._tests[name], rollout.share
        if not test.n or not 0.0 < share < 1.0:
            return None
        if test.e_promote >= 1.0 / self._plan.alpha:
            return 0.0
        mean = sum(self._sums.get((name, arm), (0.0, 0))[0] for arm in (False, True)) / test.n
        variance = max(self._squares[name] / test.n - mean * mean, 1.0 / test.n) / (share * (1.0 - share))
        planned = fixed_size(variance, margin, alpha=self._plan.alpha, beta=self._plan.beta)
        return max(_ROOM * planned - test.n, 1.0)

    def as_data(self, rollout: Rollout, elapsed_s: float) -> dict[str, Any]:
        """For pages and the row: JSON data."""
        rows = self.checks(rollout) if rollout.state != "shadow" else []
        seen = sum(self.units.values())
        left = [row.units_left for row in rows]
        rate = seen / elapsed_s * 86_400.0 if elapsed_s > 0 else 0.0
        known = [value for value in left if value is not None]
        days = max(known) / rate if rate and known and len(known) == len(rows) else None
        return {
            "checks": [msgspec.to_builtins(row) | {"interval": list(row.interval)} for row in rows],
            "shadow": [
                {"check": name, "effect": total / n, "pairs": n}
                for name, (total, n) in self._shadow_sums.items()
            ],
            "units": {"control": self.units[False], "canary": self.units[True], "shadow": self.shadowed},
            "expected_canary_units": self._assignment.expected,
            "sample_ratio_p": self._assignment.p_value,
            "units_a_day": rate,
            "days_left": None if days is None or days == inf else days,
            "at_step": self._closed[rollout.share],
        }


def _effect(row: CheckEvidence) -> str:
    if row.effect is None:
        return "was not measured"
    low, high = row.interval
    units = counted(row.control_units + row.canary_units, "unit")
    return f"{_points(row.effect)} (95 %: {_points(low)} to {_points(high)}; {units})"


def _points(value: float, *, signed: bool = True) -> str:
    text = f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"
    return f"{text.removesuffix('.0')} points"
