"""A Rollout: which Release serves whom, while evidence is gathered on live traffic."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

State = Literal["shadow", "canary", "promoted", "back", "stopped"]
"""``back``: taken back on evidence or because the time was up; ``stopped``: by a person."""

OPEN: frozenset[str] = frozenset({"shadow", "canary"})
Arm = Literal["canary", "control"]
UnitKind = Literal["user", "conversation"]

_BUCKETS = 2**64


class Guarded(msgspec.Struct, frozen=True):
    """One check that watches a rollout, on scores in [low, high] of which more is better.

    *Promote* needs an effect (canary less control) above ``-margin``, *back* one below it, with bets planned at
    ``-back_if_drop``. ``score`` is the check's (a scorer, ``feedback``, ``latency``, ``cost``) or ``answered``: was
    there an answer? A limit (seconds, USD) is watched as the share of requests within it. ``signal`` is the name of the
    feedback, None for any; where ``inverted``, less of the score is better and 1 - value is watched.
    """

    check: str
    margin: float
    back_if_drop: float
    score: str = ""
    limit: float | None = None
    signal: str | None = None
    inverted: bool = False
    low: float = 0.0
    high: float = 1.0


class Plan(msgspec.Struct, frozen=True):
    """What a rollout does, frozen when it starts: a contract edited later changes the next one.

    ``steps`` are rising shares of units, the last one 1.0. A unit's outcome counts ``outcome_after_s`` seconds after
    its first request. ``alpha`` is the error of promoting and of taking back, each over the whole rollout;
    ``false_red`` that of taking back in the shadow, where no user is at risk. ``owner`` is told of an incident.
    """

    steps: tuple[float, ...]
    give_up_s: float
    unit: UnitKind
    outcome_after_s: float
    checks: tuple[Guarded, ...]
    shadow: int = 0
    alpha: float = 0.05
    beta: float = 0.20
    false_red: float = 0.05
    owner: str = ""


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """``candidate`` and ``control`` are digests of releases; ``control`` is "" where the contract's baseline serves.

    ``step`` counts in ``plan.steps``. Times are seconds since 1970 (UTC). ``reason`` says in words why it is where it
    is, ``by`` who ended it where that was a person.
    """

    id: str
    feature: str
    candidate: str
    control: str
    salt: str
    plan: Plan
    state: State
    step: int
    started_at: float
    step_at: float
    ended_at: float | None = None
    reason: str = ""
    by: str = ""

    @property
    def share(self) -> float:
        """P(canary) of a unit seen now."""
        return (
            self.plan.steps[self.step] if self.state == "canary" else 1.0 if self.state == "promoted" else 0.0
        )


def unit_id(salt: str, unit: str) -> str:
    """The name under which a unit is recorded: nobody learns from it who it is, nor that it was in another rollout."""
    return blake2b(unit.encode("utf-8", "surrogatepass"), key=salt.encode(), digest_size=12).hexdigest()


def bucket(salt: str, unit: str) -> float:
    """Where a unit lies in [0, 1): uniform, the same on every machine, another with every salt."""
    digest = blake2b(unit.encode("utf-8", "surrogatepass"), key=salt.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _BUCKETS


def assign(salt: str, unit: str, share: float) -> Arm:
    """The arm of a unit. As ``share`` grows nobody goes back to the control."""
    return "canary" if bucket(salt, unit) < share else "control"
