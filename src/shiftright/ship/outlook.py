"""Before a rollout: in how many days the feature's traffic decides it, said in advance."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import isfinite

import msgspec

from shiftright.core.rollout import Guarded, Plan
from shiftright.core.trace import TraceFilter, TraceRow
from shiftright.decisions.live import FEEDBACK
from shiftright.ship.canary import LEAVE_AFTER, LEAVE_AFTER_S
from shiftright.ship.guarding import ANSWERED
from shiftright.store import Records
from shiftright.store.telemetry import TraceReader

DAY_S = 86_400.0
WINDOW_DAYS = 7.0
_MOST_TRACES = 5_000
_PAGE = 500


class CheckOutlook(msgspec.Struct, frozen=True):
    """``days``: half of the canaries that equal the control are promoted on this check by then; None: not within the
    time box, or nobody can say. ``needs``: units a day with which most of them are."""

    check: str
    days: float | None
    needs: float | None
    note: str = ""


class Outlook(msgspec.Struct, frozen=True):
    """``units_a_day`` is the traffic of the last seven days; ``days`` until a decision that every check is needed for,
    None where it is not to be expected within ``give_up_days``."""

    units_a_day: float
    days: float | None
    give_up_days: float
    checks: tuple[CheckOutlook, ...]

    @property
    def words(self) -> str:
        """One sentence for people."""
        traffic = f"{self.units_a_day:,.0f} units a day in the last {WINDOW_DAYS:g} days"
        if self.days is not None:
            return f"A decision takes about {max(self.days, 0.1):.1f} days at {traffic}."
        worst = [check for check in self.checks if check.days is None]
        notes = "; ".join(f"{check.check}: {check.note}" for check in worst)
        return f"No decision is to be expected within {self.give_up_days:g} days at {traffic}: {notes}."


def outlook(
    feature: str, plan: Plan, reader: TraceReader | None, records: Records, *, now: float | None = None
) -> Outlook:
    """What to expect of a rollout by this plan.

    Args:
        reader: the feature's traces; None where none were recorded.
    """
    ends = time.time() if now is None else now
    since = ends - WINDOW_DAYS * DAY_S
    seen = _seen(feature, reader, since) if reader is not None else []
    oldest = min((row.start_ns for row in seen), default=0) / 1e9
    # where there were too many to read, those read tell of a shorter time
    days = WINDOW_DAYS if len(seen) < _MOST_TRACES else max((ends - oldest) / DAY_S, 1e-6)
    units = {_unit(row, plan) for row in seen}
    rate = len(units) / days
    checks = tuple(_check(feature, check, plan, seen, rate, records, since) for check in plan.checks)
    known = [check.days for check in checks if check.days is not None]
    whole = max(known) if len(known) == len(checks) and known else None
    return Outlook(rate, whole, plan.give_up_s / DAY_S, checks)


def _seen(feature: str, reader: TraceReader, since: float) -> list[TraceRow]:
    where = TraceFilter(feature=feature, since_ns=int(since * 1e9))
    found: list[TraceRow] = []
    cursor: str | None = None
    while len(found) < _MOST_TRACES:
        page = reader.traces(where, limit=_PAGE, cursor=cursor)
        found += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _unit(row: TraceRow, plan: Plan) -> str:
    user = row.user if plan.unit == "user" else ""
    return user or row.session or row.trace_id


def _check(
    feature: str,
    check: Guarded,
    plan: Plan,
    seen: Sequence[TraceRow],
    rate: float,
    records: Records,
    since: float,
) -> CheckOutlook:
    from shiftright.stats import plan_canary

    values = _values(feature, check, seen, records, since)
    shares = [share for share in plan.steps if share < 1.0]
    if not shares:
        return CheckOutlook(check.check, 0.0, 0.0, "the contract has no steps")
    if not rate or not values:
        return CheckOutlook(check.check, None, None, "nothing was measured on live traffic yet")
    # of a check that a few requests are measured on, only those units count
    measured = rate * min(len(values) / len(seen), 1.0)
    steps = [(p, max(LEAVE_AFTER / (p * rate), LEAVE_AFTER_S / DAY_S)) for p in shares]
    try:
        found = plan_canary(
            values,
            steps=steps,
            units_per_day=measured,
            give_up=plan.give_up_s / DAY_S,
            margin=check.margin,
            rollback_if_worse_by=check.back_if_drop,
            low=check.low,
            high=check.high,
            alpha=plan.alpha,
            beta=plan.beta,
        )
    except ValueError as error:
        return CheckOutlook(check.check, None, None, str(error))
    needs = found.promote_needs * rate / measured if isfinite(found.promote_needs) else None
    if isfinite(found.promote_days):
        return CheckOutlook(check.check, found.promote_days + plan.outcome_after_s / DAY_S, needs)
    said = (
        "even ten times the traffic is too little" if needs is None else f"about {needs:,.0f} a day would do"
    )
    return CheckOutlook(check.check, None, needs, f"too little traffic, {said}")


def _values(
    feature: str, check: Guarded, seen: Sequence[TraceRow], records: Records, since: float
) -> list[float]:
    """Outcomes of what serves now, one a request, as the canary would count them."""
    good, bad = check.high, check.low
    if check.score == ANSWERED:
        return [bad if row.error else good for row in seen]
    if check.limit is not None:
        took = [row.duration_ms / 1e3 if check.score == "latency" else row.cost_usd for row in seen]
        pairs = zip(seen, took, strict=True)
        return [
            good if value <= check.limit and not row.error else bad
            for row, value in pairs
            if value is not None
        ]
    if check.score == FEEDBACK:
        rows = records.feedback.list(feature, name=check.signal, since=since, limit=1_000).data
        scored = [row.value for row in rows]
    else:
        scored = [value for _, value in records.scores.values(feature, check.check, since=since)]
    plain = [min(max(value, bad), good) for value in scored if value is not None]
    return [bad + good - value for value in plain] if check.inverted else plain
