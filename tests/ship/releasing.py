"""A release without its evidence, for tests of what happens to releases."""

from __future__ import annotations

import msgspec

from shiftright.core.release import Release
from shiftright.core.spec import Spec
from shiftright.features import identity
from shiftright.features.current import named_variant
from shiftright.features.loading import load, run_of
from shiftright.store import Records


def freeze(spec: Spec, variant: str, records: Records) -> str:
    """Record a variant as it is; gives its digest."""
    chosen = named_variant(spec, variant)
    release = Release(
        feature=spec.feature,
        variant=variant,
        run=run_of(spec, chosen),
        settings=chosen.settings,
        files={},
        code=identity.digest(load(spec, chosen)),
        commit="",
        snapshot=None,
        contract=spec.digest,
        checks=(),
        confidence={},
    )
    records.releases.append(
        "release", spec.feature, release.digest, {"release": msgspec.to_builtins(release)}
    )
    return release.digest
