"""Which variant a program is to use that keeps its own shape: inside a call the one called, outside what serves."""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from pathlib import Path

from shiftright.core.spec import Spec, Variant
from shiftright.errors import StoreError, UsageError
from shiftright.features.current import active, baseline_variant
from shiftright.features.frozen import variant_of
from shiftright.settings import Settings

_log = logging.getLogger("shiftright.ship")
_LOOK_EVERY_S = 2.0
_known: dict[tuple[str, Path], tuple[float, Variant | None]] = {}


def variant(name: str) -> Variant:
    """The variant of the feature ``name`` that is being called; outside of a call that of its stable release, with the
    release's own settings and files, or without one the baseline of its contract.

        model = shiftright.variant("triage")["model"]

    A promotion or a rollback is followed within two seconds.

    Raises:
        UsageError: outside of a call, when no contract under the project's root has that feature.
    """
    calling = active.get()
    if calling is not None and calling[0] == name:
        return calling[1]
    settings = Settings.load()
    spec = _contract(name, settings.root)
    return _stable(spec, settings) or baseline_variant(spec)


def _stable(spec: Spec, settings: Settings) -> Variant | None:
    """What was promoted; where the records cannot be read now, what it was before."""
    key = spec.feature, settings.home
    looked_at, known = _known.get(key, (0.0, None))
    if looked_at and time.monotonic() - looked_at < _LOOK_EVERY_S:
        return known
    place = settings.records_url.removeprefix("sqlite:///").partition("?")[0]
    if settings.records_url.startswith("sqlite:///") and not Path(place).exists():
        return None
    try:
        known = _read(spec, settings)
    except StoreError as error:
        _log.warning("%s: its stable release cannot be read: %s", spec.feature, error)
    _known[key] = time.monotonic(), known
    return known


def _read(spec: Spec, settings: Settings) -> Variant | None:
    from shiftright.store import open_records

    with open_records(settings.records_url, create=False) as records:
        digest = records.releases.stable(spec.feature)
        return None if digest is None else variant_of(records.releases.get(digest), spec, settings.home)


def _contract(name: str, root: Path) -> Spec:
    try:
        path = _found(name, root)
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
