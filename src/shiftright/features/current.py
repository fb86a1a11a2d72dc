"""Which variant is being called, for code that keeps its own shape."""

from __future__ import annotations

from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from shiftright.core.spec import Spec, Variant
from shiftright.errors import UsageError
from shiftright.settings import project_root

active: ContextVar[tuple[str, Variant] | None] = ContextVar("shiftright.variant", default=None)
"""The feature being called and its variant."""

UNNAMED = "current"


def variant(name: str) -> Variant:
    """The variant of the feature ``name`` that is being called; outside of a call, the baseline of its contract.

        model = shiftright.variant("triage")["model"]

    Raises:
        UsageError: outside of a call, when no contract under the project's root has that feature.
    """
    calling = active.get()
    if calling is not None and calling[0] == name:
        return calling[1]
    return baseline_variant(_contract(name, Path.cwd()))


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


def _contract(name: str, folder: Path) -> Spec:
    try:
        path = _found(name, project_root(folder))
        return _loaded(path, path.stat().st_mtime_ns)
    except UsageError as cause:
        raise UsageError(
            f"variant({name!r}): no call of this feature is running, and {cause.message}",
            hint=f"Run from the project's folder, or call the feature through shiftright. {cause.hint or ''}".strip(),
        ) from None


@lru_cache(maxsize=256)
def _found(name: str, root: Path) -> Path:
    from shiftright import spec

    return spec.find(name, root)


@lru_cache(maxsize=256)
def _loaded(path: Path, modified: int) -> Spec:
    from shiftright import spec

    return spec.load(path)
