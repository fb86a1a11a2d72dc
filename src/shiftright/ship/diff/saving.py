"""What the change is worth a month, at the feature's own traffic."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from shiftright.core.counting import counted
from shiftright.core.spec import Spec
from shiftright.core.trace import TraceFilter
from shiftright.decisions.words import amount
from shiftright.evals.compare.findings import Amount, Interval
from shiftright.ship.diff.findings import Saving
from shiftright.store.telemetry import TraceReader

MONTH_DAYS = 30
DAY_S = 86_400


class Traffic(msgspec.Struct, frozen=True):
    """Uses of a feature a month, and where the number is from; None where nothing says it."""

    calls_a_month: float | None
    source: str


def traffic(spec: Spec, telemetry: TraceReader | None) -> Traffic:
    """Of the traces of the last 30 days; where there are none, what the contract says. Of less than 30 days of traces
    the days there are stand for the month."""
    if telemetry is not None:
        since = time.time_ns() - MONTH_DAYS * DAY_S * 10**9
        days = telemetry.rollups(TraceFilter(feature=spec.feature, since_ns=since), bucket="hour")
        calls = sum(row.traces for row in days)
        if calls:
            oldest = min(row.start_ns for row in days)
            seen = max(min((time.time_ns() - oldest) / 1e9 / DAY_S, MONTH_DAYS), 1.0)
            span = "day" if seen < 1.5 else f"{seen:.0f} days"
            said = f"{counted(calls, 'trace')} in the last {span}"
            return Traffic(calls * MONTH_DAYS / seen, said)
    uses = spec.value.get("uses_per_month")
    if isinstance(uses, int | float):
        return Traffic(float(uses), "the contract's uses_per_month")
    return Traffic(None, "no traffic is known: neither traces nor value.uses_per_month")


def saving(amounts: Sequence[Amount], use: Traffic) -> Saving:
    """From the mean cost of a call on both sides."""
    cost = next((item for item in amounts if item.name == "cost"), None)
    calls = use.calls_a_month
    if cost is None:
        return _unknown(use, None, "No saving can be told: the price of a side is not known.")
    if cost.old == cost.new == 0.0:
        return Saving(0.0, (0.0, 0.0), calls, use.source, 0.0, 0.0, "No call on either side has a price.")
    if calls is None:
        return _unknown(use, cost, f"{_per_call(cost)} What that is a month cannot be told: {use.source}.")
    low, high = (-end * calls for end in reversed(cost.interval))
    a_month = -cost.change * calls + 0.0
    return Saving(
        a_month,
        (low, high),
        calls,
        use.source,
        cost.old,
        cost.new,
        _sentence(cost, a_month, (low, high), use),
    )


def _unknown(use: Traffic, cost: Amount | None, sentence: str) -> Saving:
    old, new = (None, None) if cost is None else (cost.old, cost.new)
    return Saving(None, None, use.calls_a_month, use.source, old, new, sentence)


def _per_call(cost: Amount) -> str:
    return f"A call costs {amount(cost.new, 'cost')} instead of {amount(cost.old, 'cost')}."


def _sentence(cost: Amount, a_month: float, interval: Interval, use: Traffic) -> str:
    low, high = sorted(abs(end) for end in interval)
    word = "saves" if a_month >= 0 else "costs"
    more = "" if a_month >= 0 else " more"
    sure = (interval[0] > 0) == (interval[1] > 0)
    between = f" ({money(low)} to {money(high)})" if sure and money(low) != money(high) else ""
    unsure = "" if sure else ", which may also be nothing"
    return (
        f"{_per_call(cost)} At {use.calls_a_month:,.0f} calls a month ({use.source}) that {word} "
        f"{money(abs(a_month))}{more} a month{between}{unsure}."
    )


def money(usd: float) -> str:
    """``310 USD``, ``1,240 USD``, ``0.42 USD``."""
    return (
        f"{usd:,.0f} USD"
        if usd >= 100
        else f"{usd:.2f} USD"
        if usd >= 0.01 or usd == 0
        else amount(usd, "cost")
    )
