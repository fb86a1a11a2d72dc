"""What ``--from`` and ``--to`` name: a variant, a release, or another model under the baseline's settings."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import msgspec

from shiftright.core.spec import Spec, Variant
from shiftright.errors import UsageError
from shiftright.evals import stable
from shiftright.evals.target import DEFAULT, Side, load_side
from shiftright.features.current import baseline_variant
from shiftright.ship.diff.findings import Party
from shiftright.store.releases import Releases

RELEASE = "release:"
# What a variant says of the very model it names, and which says nothing of another one.
_OF_THE_MODEL = ("price", "gpu_hour", "base_url", "api_key_env", "concurrency")


def side(name: str, spec: Spec, root: Path, home: Path, releases: Releases) -> Side:
    """
    Raises:
        UsageError: for a name that is none of the three, with the nearest.
        SpecError: what is named cannot be loaded.
    """
    if name in spec.variants or (name == DEFAULT and not spec.variants):
        return load_side(spec, spec.variants.get(name, Variant(DEFAULT, root=spec.root)))
    if name.startswith(RELEASE):
        release = releases.get(name.removeprefix(RELEASE))
        if release.feature != spec.feature:
            raise UsageError(
                f"release {release.digest[:12]} is of {release.feature}, not of {spec.feature}",
                hint=f"Releases of this feature: shiftright release {spec.feature}",
            )
        shown = f"{release.variant} ({RELEASE}{release.digest[:12]})"
        return Side(shown, stable.load(release, spec, root, home), release.code)
    if ":" in name:
        return load_side(spec, _with_model(name, spec))
    known = list(spec.variants) or [DEFAULT]
    near = get_close_matches(name, known, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    raise UsageError(
        f"{spec.feature} has no variant {name!r}",
        hint=f"{guess}It has: {', '.join(known)}. Or name a model (openai:gpt-5) or a release (release:DIGEST).",
    )


def _with_model(model: str, spec: Spec) -> Variant:
    """The baseline variant with this model instead of its own."""
    base = baseline_variant(spec)
    if "model" not in base:
        raise UsageError(
            f"{spec.feature} · {base.name} names no model that {model} could take the place of",
            file=spec.path,
            hint="Give the baseline variant a `model`, or write both sides as variants.",
        )
    settings = {key: value for key, value in base.settings.items() if key not in _OF_THE_MODEL}
    return msgspec.structs.replace(base, name=model, settings=settings | {"model": model})


def party(side: Side) -> Party:
    """A side as the findings show it."""
    return Party(side.name, str(side.feature.variant.get("model", "")), side.digest)
