"""Rollouts begun and taken back. What happens in between is ship.ticking."""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec

from shiftright.core.rollout import OPEN, Plan, Rollout
from shiftright.core.spec import Spec
from shiftright.errors import UsageError
from shiftright.ship.guarding import plan_of
from shiftright.ship.promotion import overrides
from shiftright.store import Records
from shiftright.store.rows import FollowedRow


def begin(spec: Spec, candidate: str, records: Records) -> Rollout:
    """A rollout of a release that may be promoted (ship.promotion says so), by the contract as it is now.

    A plan without shadow and without steps below 100 % promotes at once: its gate is all the proof it asks for.

    Raises:
        UsageError: a rollout of the feature is open, or the release serves everybody already.
    """
    control = records.releases.stable(spec.feature) or ""
    if control == candidate:
        raise UsageError(
            f"release {candidate[:12]} serves every user of {spec.feature} already",
            hint=f"See it: shiftright rollout {spec.feature} --status",
        )
    plan = plan_of(spec)
    now = time.time()
    rollout = Rollout(
        id="",
        feature=spec.feature,
        candidate=candidate,
        control=control,
        salt=secrets.token_hex(16),
        plan=plan,
        state="shadow" if plan.shadow else "canary",
        step=0,
        started_at=now,
        step_at=now,
    )
    if not plan.shadow and plan.steps[0] >= 1.0:
        reason = "by its gate alone: the contract has no steps below 100 %"
        rollout = msgspec.structs.replace(rollout, state="promoted", ended_at=now, reason=reason)
    return records.rollouts.add(rollout)


def back(feature: str, records: Records, *, by: str = "", reason: str = "") -> tuple[Rollout, bool]:
    """Take the feature's rollout back, now: the next request goes to the control. Also one that was promoted, while its
    release still serves.

    Returns:
        The rollout, and whether it was this call that took it back: one that is back stays so.

    Raises:
        UsageError: nothing was rolled out.
    """
    while True:
        newest = next(iter(records.rollouts.list(feature, limit=1)), None)
        if newest is None:
            raise UsageError(
                f"nothing of {feature} is rolled out", hint=f"Begin: shiftright rollout {feature} --start V"
            )
        rollout = newest.rollout
        if rollout.state in ("back", "stopped"):
            return rollout, False
        if (
            rollout.state == "promoted"
            and newest.settled
            and records.releases.stable(feature) != rollout.candidate
        ):
            raise UsageError(
                f"release {rollout.candidate[:12]} does not serve {feature} any more",
                hint=f"See what does: shiftright rollout {feature} --status",
            )
        now = time.time()
        said = reason or "taken back by a person"
        after = msgspec.structs.replace(
            rollout, state="stopped", ended_at=now, step_at=now, reason=said, by=by
        )
        # where a tick moved it meanwhile, it is taken back from there
        if records.rollouts.change(rollout, after):
            return after, True


def newest(feature: str, records: Records) -> FollowedRow | None:
    """The feature's open rollout, else its last one."""
    return next(iter(records.rollouts.list(feature, limit=1)), None)


def described(row: FollowedRow, records: Records) -> dict[str, Any]:
    """A rollout with its evidence, for pages and ``--json``: plain data."""
    rollout, known = row.rollout, row.evidence
    plan: Plan = rollout.plan
    age = known.get("elapsed_s", 0.0)
    return {
        "id": rollout.id,
        "feature": rollout.feature,
        "state": rollout.state,
        "open": rollout.state in OPEN,
        "step": rollout.step,
        "steps": list(plan.steps),
        "share": rollout.share,
        "candidate": rollout.candidate,
        "control": rollout.control,
        "stable": records.releases.stable(rollout.feature),
        "started_at": rollout.started_at,
        "step_at": rollout.step_at,
        "ended_at": rollout.ended_at,
        "reason": rollout.reason,
        "by": rollout.by,
        "unit": plan.unit,
        "alpha": plan.alpha,
        "shadow_requests": plan.shadow,
        "overrides": [
            msgspec.to_builtins(each)
            for each in overrides(records.releases.list(rollout.feature), rollout.candidate)
        ],
        "gives_up_in_s": max(plan.give_up_s - age, 0.0) if rollout.state in OPEN else None,
        "evidence": {
            key: known.get(key)
            for key in (
                "checks", "shadow", "units", "expected_canary_units", "sample_ratio_p", "units_a_day", "days_left",
                "waiting", "at_step",
            )
        },
    }  # fmt: skip
