"""What a rollout watches: the contract's checks that live traffic can decide, frozen into its plan."""

from __future__ import annotations

from collections.abc import Iterator

from shiftright.core.rollout import Guarded, Plan
from shiftright.core.spec import Check, Spec
from shiftright.decisions.live import FEEDBACK, MEASURED, why_not

ANSWERED = "answered"
_JUDGE = "judge"


def plan_of(spec: Spec) -> Plan:
    """The contract's ``ship`` section as it is now."""
    ship = spec.ship
    return Plan(
        steps=ship.steps,
        give_up_s=ship.give_up_s,
        unit=ship.unit,
        outcome_after_s=ship.outcome_after_s,
        checks=tuple(_guarded(spec)),
        shadow=ship.shadow,
        alpha=spec.confidence.wrong_ship,
        beta=spec.confidence.wrong_block,
        false_red=spec.confidence.false_red,
        owner=str(spec.owner.get("is", "")),
    )


def counts_failures(check: Guarded) -> bool:
    """Does every failed request count here? Judges and users see only some of them."""
    return check.score not in (_JUDGE, FEEDBACK)


def _guarded(spec: Spec) -> Iterator[Guarded]:
    """Where no check of the contract sees each failed request, whether there was an answer is watched too."""
    counting = False
    for check in (*spec.checks, *spec.live_checks):
        limit = _limit(check)
        if why_not(check) is not None or not check.clauses or (check.score in MEASURED and limit is None):
            continue
        margin, back = _margins(check, spec.ship.back_if_drop)
        guarded = Guarded(
            check=check.name,
            margin=margin,
            back_if_drop=back,
            score=check.score,
            limit=limit,
            signal=check.params.get("name") if check.score == FEEDBACK else None,
            inverted=limit is None and check.clause("at_most") is not None,
        )
        counting = counting or counts_failures(guarded)
        yield guarded
    if not counting:
        margin = spec.ship.back_if_drop / 2
        yield Guarded(ANSWERED, margin, spec.ship.back_if_drop, ANSWERED)


def _margins(check: Check, back: float) -> tuple[float, float]:
    """What may be lost, and what sends it back. An absolute clause allows half of what sends it back."""
    drop = check.clause("max_drop")
    margin = back / 2 if drop is None or not drop.bound else min(drop.bound, 0.5)
    return margin, back if back > margin else 2 * margin


def _limit(check: Check) -> float | None:
    """Seconds or USD within which a request has to stay: the bound that most of them are promised."""
    if check.score not in MEASURED:
        return None
    kinds = ("p95_at_most", "mean_at_most", "each_at_most")
    found = (clause.bound for kind in kinds if (clause := check.clause(kind)) is not None)
    return next(found, None)
