"""Which variant is being called, for code that keeps its own shape."""

from __future__ import annotations

from contextvars import ContextVar

from shiftright.core.spec import Spec, Variant
from shiftright.errors import UsageError

active: ContextVar[tuple[str, Variant] | None] = ContextVar("shiftright.variant", default=None)
"""The feature being called and its variant."""

UNNAMED = "current"


def baseline_variant(spec: Spec) -> Variant:
    """The variant that stands for the feature where none is named: the baseline, else the first, else the bare
    feature."""
    if spec.baseline is not None:
        return spec.variants[spec.baseline]
    return next(iter(spec.variants.values()), Variant(UNNAMED, root=spec.root))


def named_variant(spec: Spec, name: str) -> Variant:
    """The variant ``name``; a contract without variants has one, whatever it is called.

    Raises:
        UsageError: with the variants there are.
    """
    if name in spec.variants:
        return spec.variants[name]
    if not spec.variants:
        return Variant(name, root=spec.root)
    raise UsageError(
        f"{spec.feature} has no variant {name!r}",
        file=spec.path,
        hint=f"Variants: {', '.join(spec.variants)}.",
    )
