"""What one eval was asked for, and who is told how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Protocol

import msgspec

from shiftright.core.verdict import Calls, CheckRow, Verdict
from shiftright.errors import UsageError


class Options(msgspec.Struct, frozen=True):
    """``repeats`` is K per candidate case; ``concurrency`` None chooses by the model (an embedded one: 1; else 8).

    ``base`` is a git ref: the baseline is then the feature at the merge-base with it, whatever the contract names, and
    ``baseline`` the variant there (default: the candidate's name).

    Raises:
        UsageError: for a ``max_cost_usd`` that limits nothing: infinite, or not a number.
    """

    variant: str | None = None
    baseline: str | None = None
    base: str | None = None
    max_calls: int | None = None
    max_cost_usd: float | None = None
    repeats: int = 1
    new_decision: bool = False
    suite_mode: bool = False
    concurrency: int | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Options:
        """From the ``locals()`` of a function that takes options by these names, or some of them, beside others."""
        return cls(**{name: arguments[name] for name in cls.__struct_fields__ if name in arguments})

    def __post_init__(self) -> None:
        if self.max_cost_usd is not None and not (isfinite(self.max_cost_usd) and self.max_cost_usd >= 0.0):
            raise UsageError(
                f"a limit on cost is an amount in USD, not {self.max_cost_usd:g}",
                hint="Give an amount such as 0.5, or leave the limit out.",
            )


class Standing(msgspec.Struct, frozen=True):
    """How a run stands: cases used of those there are, calls, cost, and which checks are still open."""

    used: int
    available: int
    calls: Calls
    cost_usd: float | None
    open_checks: tuple[str, ...]


class Progress(Protocol):
    """Told often; shows what it likes."""

    def begin(self, feature: str, variant: str, baseline: str | None, notes: tuple[str, ...]) -> None: ...
    def step(self, standing: Standing) -> None: ...
    def end(self) -> None: ...


class Quiet:
    """Shows nothing."""

    def begin(self, feature: str, variant: str, baseline: str | None, notes: tuple[str, ...]) -> None:
        """Nothing to show."""

    def step(self, standing: Standing) -> None:
        """Nothing to show."""

    def end(self) -> None:
        """Nothing to show."""


class EvalRun(msgspec.Struct, frozen=True):
    """One variant against a baseline on the cases, with its Verdict. ``shiftright eval --json`` prints this.

    ``stored`` says that the decision had been made before and nothing was run. ``notes`` are things to know (a judge
    without human labels, skipped cases, another attempt's error rate).
    """

    feature: str
    variant: str
    baseline: str | None
    verdict: Verdict
    calls: Calls
    cost_usd: float | None
    seconds: float
    run_id: str
    seed: int
    estimand: str
    attempt: int = 1
    stored: bool = False
    notes: tuple[str, ...] = ()


class Selection(msgspec.Struct, frozen=True):
    """Which cases to look at."""

    limit: int | None = None
    tag: str | None = None
    case_id: str | None = None

    def __bool__(self) -> bool:
        return any(part is not None for part in (self.limit, self.tag, self.case_id))


class Look(msgspec.Struct, frozen=True):
    """What a look at some cases gave. It holds no verdict on purpose."""

    feature: str
    variant: str
    baseline: str | None
    checks: tuple[CheckRow, ...]
    cases: int
    calls: Calls
    cost_usd: float | None
    seconds: float
    run_id: str
