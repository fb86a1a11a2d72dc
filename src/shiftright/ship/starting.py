"""``shiftright rollout --start``: through the gate, on to users."""

from __future__ import annotations

from shiftright.core.rollout import Rollout
from shiftright.settings import Settings
from shiftright.ship.promotion import Gate, gate
from shiftright.ship.promotion import override as pass_gate
from shiftright.ship.rollouts import begin
from shiftright.store import Records


def start(
    settings: Settings,
    records: Records,
    feature: str,
    variant: str | None = None,
    *,
    override: str = "",
    by: str = "",
) -> tuple[Gate, Rollout | None]:
    """Roll a variant out as it stands, if the gate lets it.

    Args:
        override: the reason to let it pass without what is missing; needs ``by``.

    Returns:
        The gate, and the rollout; None where it is closed, and the gate says what is missing.

    Raises:
        UsageError: as ``begin``; an override without a name.
    """
    found = gate(settings, records, feature, variant)
    if override and not found.open:
        pass_gate(records, found, by=by, reason=override)
        found = gate(settings, records, feature, variant)
    if not found.open:
        return found, None
    return found, begin(found.standing.spec, found.digest, records)
