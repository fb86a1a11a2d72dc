"""What paid calls may cost, said before they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shiftright.app import App
    from shiftright.evals.expected import ExpectedCost
    from shiftright.evals.options import Options


def expected(app: App, feature: str, options: Options, *, planning: bool = False) -> str | None:
    """A sentence, or None where no model of the variants named costs anything."""
    from shiftright.evals.expected import expected_cost

    found = expected_cost(feature, app.settings, options, planning=planning)
    said = told(found, options)
    if found is None or found.cost_usd is None:
        return said
    return f"{said}; fewer when it is decided early, none for answers there are"


def told(found: ExpectedCost | None, options: Options) -> str | None:
    """What these calls may cost, in words."""
    from shiftright.core.counting import counted
    from shiftright.decisions.words import amount

    if found is None:
        return None
    if found.cost_usd is None:
        return f"paid calls: no price is known for {', '.join(found.models)}; --max-calls limits them"
    if options.max_cost_usd is not None and found.cost_usd >= options.max_cost_usd:
        most = f"at most the cap of {options.max_cost_usd:g} USD"
    else:
        most = f"at most about {amount(found.cost_usd, 'cost')}"
    return (
        f"paid calls: {most} for {counted(found.calls, 'call')} of {', '.join(found.models)} ({found.prices})"
    )
