"""The default baseline: the stable release, with the code that is here, else as its commit has it."""

from __future__ import annotations

from pathlib import Path

from shiftright import features
from shiftright import spec as specs
from shiftright.core.release import Release
from shiftright.core.spec import Spec
from shiftright.errors import MissingDependency, SpecError
from shiftright.evals import merge_base
from shiftright.features import LoadedFeature
from shiftright.store.releases import Releases

_HINT = "Or name another baseline: --baseline VARIANT"


def other_than(code: str, releases: Releases, feature: str) -> Release | None:
    """The newest stable release that is not this very code; None where the contract's own code served before.

    So the stable release itself is compared with what it took the place of: its decision is found again, at no cost.
    """
    for digest in releases.served(feature):
        if not digest:
            return None
        release = releases.get(digest)
        if release.code != code:
            return release
    return None


def load(release: Release, spec: Spec, root: Path, home: Path) -> LoadedFeature:
    """The release, ready for ``call``.

    Raises:
        SpecError: neither the code that is here nor the commit of the release is what it was frozen from.
    """
    try:
        return features.load_release(release, spec, home)
    except (SpecError, MissingDependency) as error:
        if not release.commit:
            raise SpecError(
                f"{error.message}, and no commit has it", file=error.file, hint=f"{error.hint} {_HINT}"
            ) from error
    try:
        contract = merge_base.contract_at(spec, root, home, release.commit)
    except SpecError as error:
        hint = f"In CI fetch the whole history (fetch-depth: 0). {_HINT}"
        what = f"release {release.digest[:12]} needs commit {release.commit[:12]}: {error.message}"
        raise SpecError(what, file=spec.path, hint=hint) from error
    if contract is None:
        raise SpecError(
            f"release {release.digest[:12]}: commit {release.commit[:12]} has no contract of {spec.feature}",
            file=spec.path,
            hint=_HINT,
        )
    return features.load_release(release, specs.load(contract), home)
