"""Which model diffs could pay: cheaper models of the price list at a feature's own traffic, and a GPU of one's own.

Whether a cheaper model is good enough no price says: each candidate comes with the diff that would show it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import ceil

import msgspec

from shiftright import spec as specs
from shiftright.core.answer import Usage
from shiftright.core.counting import counted
from shiftright.core.spec import Spec
from shiftright.core.trace import SpanRow, TraceFilter
from shiftright.errors import UsageError
from shiftright.models.price_list import Listed, listed
from shiftright.models.prices import Price, prices_as_of
from shiftright.settings import Settings
from shiftright.ship.diff.saving import DAY_S, MONTH_DAYS
from shiftright.store.telemetry import TraceReader

LOOKED_AT = 200
"""Traces, the newest, whose longest call says how large a context window has to be."""
CHEAPER = 0.8
CHEAPEST = 3
HOURS_A_MONTH = 730.0


class Gpu(msgspec.Struct, frozen=True):
    """A machine to rent: USD an hour, and how many tokens a second it reads and writes together."""

    usd_an_hour: float
    tokens_per_second: float


class Candidate(msgspec.Struct, frozen=True):
    """``usd_a_month`` at the feature's tokens; ``saves`` of what is paid now, as USD and as a share. ``context`` is its
    window in tokens, None where that is yours to choose. ``command`` shows whether it is good enough."""

    model: str
    usd_a_month: float
    saves: float
    share: float
    context: int | None
    command: str
    note: str = ""


class ModelUse(msgspec.Struct, frozen=True):
    """One model in one feature, a month of it. ``longest`` is the most tokens one of the newest calls had. ``images``:
    some of them had more than text in them. ``usd_a_month`` is None where no price is known."""

    feature: str
    model: str
    provider: str
    calls: float
    input_tokens: float
    output_tokens: float
    longest: int
    images: bool
    usd_a_month: float | None
    candidates: tuple[Candidate, ...]
    note: str = ""


class Scouted(msgspec.Struct, frozen=True):
    """``prices`` says which price list; ``days`` how many days of traffic were seen."""

    uses: tuple[ModelUse, ...]
    prices: str
    days: float


class _Seen(msgspec.Struct):
    calls: int = 0
    errors: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    oldest_ns: int = 0


def scout(
    settings: Settings, telemetry: TraceReader, feature: str | None = None, gpu: Gpu | None = None
) -> Scouted:
    """From the traces of the last 30 days; of fewer days, they stand for the month.

    Raises:
        UsageError: no model call of such a feature was traced.
    """
    since = time.time_ns() - MONTH_DAYS * DAY_S * 10**9
    names = [feature] if feature else _features(telemetry, since)
    uses: list[ModelUse] = []
    longest_days = 0.0
    for name in names:
        for model, seen in _by_model(telemetry, name, since).items():
            days = max(min((time.time_ns() - seen.oldest_ns) / 1e9 / DAY_S, MONTH_DAYS), 1.0)
            longest_days = max(longest_days, days)
            uses.append(_use(settings, telemetry, name, model, seen, MONTH_DAYS / days, since, gpu))
    if not uses:
        raise UsageError(
            f"no model call of {feature or 'any feature'} was traced in the last {MONTH_DAYS} days",
            hint="Point a client at shiftright serve, or: shiftright record -- COMMAND",
        )
    ranked = sorted(uses, key=lambda use: -(use.usd_a_month or 0.0))
    return Scouted(tuple(ranked), prices_as_of(), longest_days)


def _features(telemetry: TraceReader, since_ns: int) -> list[str]:
    rows = telemetry.rollups(TraceFilter(since_ns=since_ns), bucket="day", by="feature")
    return list(dict.fromkeys(row.group for row in rows if row.group))


def _by_model(telemetry: TraceReader, feature: str, since_ns: int) -> dict[str, _Seen]:
    found: dict[str, _Seen] = defaultdict(_Seen)
    where = TraceFilter(feature=feature, since_ns=since_ns)
    for row in telemetry.rollups(where, bucket="hour", by="model"):
        seen = found[row.group]
        seen.calls += row.traces
        seen.cost_usd += row.cost_usd
        seen.unpriced += row.unpriced
        seen.input_tokens += row.input_tokens
        seen.output_tokens += row.output_tokens
        seen.oldest_ns = min(seen.oldest_ns or row.start_ns, row.start_ns)
    return found


def _use(
    settings: Settings,
    telemetry: TraceReader,
    feature: str,
    model: str,
    seen: _Seen,
    months: float,
    since_ns: int,
    gpu: Gpu | None,
) -> ModelUse:
    """``months``: what the traffic seen is multiplied by to be a month's."""
    spans = list(_newest(telemetry, TraceFilter(feature=feature, model=model, since_ns=since_ns), model))
    provider = next((span.provider for span in spans if span.provider), "")
    longest = max((span.input_tokens + span.output_tokens for span in spans), default=0)
    images = any('"image' in span.input or '"input_image"' in span.input for span in spans)
    paid = seen.cost_usd * months if not seen.unpriced else _priced(model, provider, seen, months)
    use = ModelUse(
        feature=feature,
        model=model,
        provider=provider,
        calls=seen.calls * months,
        input_tokens=seen.input_tokens * months,
        output_tokens=seen.output_tokens * months,
        longest=longest,
        images=images,
        usd_a_month=paid,
        candidates=(),
    )
    if not paid:
        said = "no price is known for it" if paid is None else "it costs nothing a call"
        return msgspec.structs.replace(use, note=said)
    old = _as_side(settings, feature, f"{provider}:{model}" if provider else model)
    found = _chosen([one for each in listed() if (one := _candidate(each, use, paid, old)) is not None])
    own = _own(use, paid, old, gpu) if gpu else []
    return msgspec.structs.replace(use, candidates=tuple(sorted((*own, *found), key=lambda one: -one.saves)))


def _newest(telemetry: TraceReader, where: TraceFilter, model: str) -> Iterable[SpanRow]:
    for row in telemetry.traces(where, limit=LOOKED_AT).data:
        for span in telemetry.trace(row.trace_id):
            if span.model == model:
                yield span


def _priced(model: str, provider: str, seen: _Seen, months: float) -> float | None:
    """By the price list, where spans came without a cost."""
    each = Usage(seen.input_tokens // max(seen.calls, 1), seen.output_tokens // max(seen.calls, 1))
    cost = Price(model, provider or None).cost(each, 0.0)
    return None if cost is None else cost * seen.calls * months


def _candidate(each: Listed, use: ModelUse, paid: float, old: str) -> Candidate | None:
    """None where it saves less than a fifth, or cannot take these calls."""
    if each.id == use.model or each.context < use.longest or (use.images and not each.sees):
        return None
    calls = max(use.calls, 1.0)
    usage = Usage(round(use.input_tokens / calls), round(use.output_tokens / calls))
    cost = Price(each.id, each.provider).cost(usage, 0.0)
    if not cost or cost * use.calls > CHEAPER * paid:
        return None
    a_month = cost * use.calls
    command = f"shiftright diff {use.feature} --from {old} --to {each.name} --traces 7d"
    return Candidate(each.name, a_month, paid - a_month, 1 - a_month / paid, each.context, command)


def _chosen(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Of each provider the one that saves least, which is the likeliest to be good enough, and the cheapest of all;
    those that save most first."""
    ranked = sorted(candidates, key=lambda one: one.saves)
    nearest = {one.model.partition(":")[0]: one for one in reversed(ranked)}
    return sorted({*nearest.values(), *ranked[-CHEAPEST:]}, key=lambda one: (-one.saves, one.model))


def _own(use: ModelUse, paid: float, old: str, gpu: Gpu) -> list[Candidate]:
    """A rented machine is paid for all month, however little it has to do."""
    busy = (use.input_tokens + use.output_tokens) / gpu.tokens_per_second / 3600
    machines = max(ceil(busy / HOURS_A_MONTH), 1)
    a_month = machines * HOURS_A_MONTH * gpu.usd_an_hour
    command = f"shiftright diff {use.feature} --from {old} --to https://HOST/v1#MODEL --traces 7d"
    note = (
        f"{counted(machines, 'machine')} all month; busy {busy:.3g} hours ({busy * gpu.usd_an_hour:,.2f} USD) at "
        f"{gpu.tokens_per_second:g} tokens a second, read and written"
    )
    return [Candidate("a GPU of your own", a_month, paid - a_month, 1 - a_month / paid, None, command, note)]


def _as_side(settings: Settings, feature: str, model: str) -> str:
    """The variant that has this model, where the contract has one."""
    try:
        spec: Spec = specs.load(specs.find(feature, settings.root))
    except UsageError:  # traffic of a feature that has no contract here
        return model
    same = (name for name, variant in spec.variants.items() if variant.get("model") == model)
    return next(same, model)
