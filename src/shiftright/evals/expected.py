"""What an eval's model calls may cost, before the first is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from shiftright import datasets
from shiftright import spec as specs
from shiftright.core.case import Case, Split
from shiftright.core.spec import Spec, Variant
from shiftright.evals.options import Options
from shiftright.evals.planning import LARGEST_PLANNING_SAMPLE
from shiftright.evals.target import choose_variant
from shiftright.settings import Settings


class ExpectedCost(msgspec.Struct, frozen=True):
    """At most ``calls`` calls of ``models`` for ``cost_usd`` (None where no price is known), one model call per case
    and side; ``prices`` says whose prices they are, and how old those of a list."""

    models: tuple[str, ...]
    calls: int
    cost_usd: float | None
    prices: str


def expected_cost(
    feature: str, settings: Settings, options: Options, *, planning: bool = False
) -> ExpectedCost | None:
    """None when no side names a model that costs something (an embedded, recorded or self-priced free one).

    ``planning`` is of a plan: the baseline runs twice on dev cases, whatever there is to decide on.

    Raises:
        Error: as ``evaluate`` does for the contract and its cases.
    """
    spec = specs.load(specs.find(feature, settings.root))
    split: Split = "dev" if planning else "gate"
    if split not in spec.cases:
        return None
    sides = [side for side in (_twice if planning else _sides)(spec, options) if _is_paid(side)]
    cases = (
        datasets.load(spec.cases[split]).cases[: LARGEST_PLANNING_SAMPLE if planning else None]
        if sides
        else ()
    )
    return expected_of([(side, cases) for side in sides], options)


def expected_of(asked: Sequence[tuple[Variant, Sequence[Case]]], options: Options) -> ExpectedCost | None:
    """The same for any sides, each with the cases it has to answer."""
    asked = [(side, cases) for side, cases in asked if cases and _is_paid(side)]
    if not asked:
        return None
    from shiftright.models.naming import resolve
    from shiftright.models.prices import prices_as_of

    total: float | None = 0.0
    calls = 0
    paid: list[str] = []
    prices: list[str] = []
    for side, cases in asked:
        price = resolve(str(side["model"]), settings=side.settings, root=side.root).price
        characters = sum(len(msgspec.json.encode(case.value)) for case in cases) // len(cases)
        each = price.expected(characters + _prompt_length(side), side.get("max_tokens"))
        if each == 0:
            continue
        calls += len(cases) * options.repeats
        total = None if each is None or total is None else total + each * len(cases) * options.repeats
        paid.append(str(side["model"]))
        prices.append("the contract's price" if price.own else prices_as_of())
    if not paid:
        return None
    within = calls if options.max_calls is None else min(calls, options.max_calls)
    if total is not None:
        total *= within / max(calls, 1)
        total = total if options.max_cost_usd is None else min(total, options.max_cost_usd)
    return ExpectedCost(
        models=tuple(dict.fromkeys(paid)),
        calls=within,
        cost_usd=total,
        prices=" and ".join(dict.fromkeys(prices)),
    )


def _sides(spec: Spec, options: Options) -> list[Variant]:
    baseline = options.baseline or spec.baseline
    candidate = choose_variant(spec, options.variant, baseline)
    other = spec.variants.get(baseline) if baseline else None
    return [candidate] if other is None else [candidate, other]


def _twice(spec: Spec, options: Options) -> list[Variant]:
    baseline = spec.variants.get(options.baseline or spec.baseline or "")
    return [] if baseline is None else [baseline, baseline]


def _is_paid(variant: Variant) -> bool:
    model: Any = variant.get("model")
    if not isinstance(model, str) or model.startswith(("local:", "recorded:")):
        return False
    return ":" in model or "base_url" in variant


def _prompt_length(variant: Variant) -> int:
    name = variant.get("prompt")
    file = variant.root / name if isinstance(name, str) else Path()
    return file.stat().st_size if file.is_file() else 0
