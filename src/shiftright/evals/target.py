"""What one eval compares: the candidate, the baseline, their cases and scorers, each with its digest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from shiftright import datasets, features, scorers
from shiftright import spec as specs
from shiftright.core.case import digest_of
from shiftright.core.release import Release
from shiftright.core.seams import Scorer
from shiftright.core.spec import Check, Spec, Variant
from shiftright.datasets import Dataset
from shiftright.decisions.contract import Estimand
from shiftright.decisions.ledger import Subject
from shiftright.errors import SpecError, UsageError
from shiftright.evals import merge_base, stable
from shiftright.features import LoadedFeature
from shiftright.store.releases import Releases

DEFAULT = "default"
# Repeats of the baseline: 0 to 4 are its scores, later ones check them; then come the next generation's.
REPEATS_A_GENERATION = 100_000


class Side(msgspec.Struct, frozen=True):
    """One variant, ready to be called. ``digest`` is its code and settings; ``generation`` counts how often a
    baseline's remembered answers were found stale."""

    name: str
    feature: LoadedFeature
    digest: str
    generation: int = 0

    @property
    def first_repeat(self) -> int:
        """Where this generation's answers begin."""
        return self.generation * REPEATS_A_GENERATION


class Target(msgspec.Struct, frozen=True):
    """A candidate against a baseline under a contract.

    ``gate`` is decided on, every case of ``must`` has to pass, ``dev`` is for planning and tuning. ``scorers`` has one
    scorer per check that is scored (``latency`` and ``cost`` too).
    """

    spec: Spec
    candidate: Side
    baseline: Side | None
    gate: Dataset
    must: Dataset | None
    dev: Path | None
    scorers: dict[str, Scorer]
    scorers_digest: str

    @property
    def baseline_identity(self) -> str:
        """Under which baseline scores are kept: its code, the generation of its answers, and what scored it."""
        assert self.baseline is not None
        return digest_of(self.baseline.digest, self.baseline.generation, self.scorers_digest)

    def at(self, generation: int) -> Target:
        """The same with its baseline in another generation."""
        assert self.baseline is not None
        baseline = msgspec.structs.replace(self.baseline, generation=generation)
        return msgspec.structs.replace(self, baseline=baseline)

    def subject(self, estimand: Estimand) -> Subject:
        return Subject(
            feature=self.spec.feature,
            clauses=self.spec.digest,
            scorers=self.scorers_digest,
            candidate=self.candidate.digest,
            baseline=self.baseline.digest if self.baseline else None,
            estimand=estimand,
            generation=self.baseline.generation if self.baseline else 0,
        )

    def changed(self) -> str | None:
        """Name of a file of cases that is not any more what was read; None when all are."""
        files = (self.gate, self.must)
        return next((str(data.path) for data in files if data is not None and data.changed()), None)


def resolve(
    name: str,
    root: Path,
    home: Path,
    *,
    variant: str | None = None,
    baseline: str | None = None,
    base: str | None = None,
    releases: Releases | None = None,
) -> Target:
    """Find the feature, choose the sides, read the cases, build the scorers. The options are ``Options``'; where none
    names a baseline and neither does the contract, the stable one of ``releases`` is it, else the merge-base.

    Raises:
        UsageError: for an unknown feature or variant.
        SpecError: when the contract cannot be executed (no cases, no baseline for a relative clause, …).
        DatasetError: when the cases cannot be read.
    """
    spec = specs.load(specs.find(name, root))
    if "gate" not in spec.cases:
        raise SpecError(
            "cases: there is no gate to decide on",
            file=spec.path,
            hint="Add `cases: cases.jsonl`, or `gate:` under cases.",
        )
    named = baseline or spec.baseline
    chosen = choose_variant(spec, variant, named)
    candidate = load_side(spec, chosen)
    if base is None:
        other = _baseline(spec, named, candidate, root, home, releases)
    else:
        other = _served(spec, candidate, baseline or chosen.name, root, home, base, releases)
    built, scorers_digest = scorers_of(spec, candidate)
    must = spec.cases.get("must")
    return Target(
        spec=spec,
        candidate=candidate,
        baseline=other,
        gate=datasets.load(spec.cases["gate"]),
        must=datasets.load(must) if must else None,
        dev=spec.cases.get("dev"),
        scorers=built,
        scorers_digest=scorers_digest,
    )


def scorers_of(spec: Spec, candidate: Side) -> tuple[dict[str, Scorer], str]:
    """One scorer per check, and the digest of what they measure."""
    digest = digest_of([[check.name, scorers.digest(check, spec)] for check in spec.checks])
    return {check.name: _scorer(check, spec, candidate) for check in spec.checks}, digest


def _scorer(check: Check, spec: Spec, candidate: Side) -> Scorer:
    schema = candidate.feature.output_schema if check.score == "schema" else None
    return scorers.build(check, spec, output_schema=schema)


def load_side(spec: Spec, variant: Variant) -> Side:
    feature = features.load(spec, variant)
    return Side(variant.name, feature, features.digest(feature))


def choose_variant(spec: Spec, name: str | None, baseline: str | None) -> Variant:
    """The named variant; without a name the only one that is not the baseline, or the feature as it stands.

    Raises:
        UsageError: for an unknown name (with the nearest), or when there are several to choose from.
    """
    if name is not None:
        return _named(spec, name)
    if not spec.variants:
        return Variant(DEFAULT, root=spec.root)
    others = [v for v in spec.variants.values() if v.name != baseline]
    if len(others) == 1 or len(spec.variants) == 1:
        return (others or list(spec.variants.values()))[0]
    raise UsageError(
        f"{spec.feature} has several variants: {', '.join(v.name for v in others)}",
        hint=f"Choose one: shiftright eval {spec.feature} --variant {others[0].name}",
    )


def _named(spec: Spec, name: str) -> Variant:
    if name in spec.variants:
        return spec.variants[name]
    if name == DEFAULT and not spec.variants:
        return Variant(DEFAULT, root=spec.root)
    from difflib import get_close_matches

    near = get_close_matches(name, spec.variants, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    known: Sequence[str] = list(spec.variants) or [DEFAULT]
    raise UsageError(f"{spec.feature} has no variant {name!r}", hint=f"{guess}It has: {', '.join(known)}.")


def _baseline(
    spec: Spec, name: str | None, candidate: Side, root: Path, home: Path, releases: Releases | None
) -> Side | None:
    """Named on the command line, else in the contract, else (where a clause needs one) the stable release, else the
    merge-base."""
    if name:
        return load_side(spec, _named(spec, name))
    if not needs_baseline(spec):
        return None
    release = None if releases is None else stable.other_than(candidate.digest, releases, spec.feature)
    if release is None:
        return _earlier(spec, candidate.name, root, home)
    return _released(release, spec, root, home)


def _served(
    spec: Spec, candidate: Side, before: str, root: Path, home: Path, base: str, releases: Releases | None
) -> Side | None:
    """What a change takes the place of: the stable release, where it is one of this variant, else the variant
    ``before`` at the merge-base."""
    digest = None if releases is None else releases.stable(spec.feature)
    if digest and releases is not None and needs_baseline(spec):
        release = releases.get(digest)
        if release.variant == candidate.name and release.code != candidate.digest:
            return _released(release, spec, root, home)
    return _earlier(spec, before, root, home, base)


def _released(release: Release, spec: Spec, root: Path, home: Path) -> Side:
    loaded = stable.load(release, spec, root, home)
    return Side(f"release {release.digest[:12]}", loaded, release.code)


def _earlier(spec: Spec, variant: str, root: Path, home: Path, base: str | None = None) -> Side | None:
    """The variant as it was at the merge-base; None where no clause compares."""
    if not needs_baseline(spec):
        return None
    old = merge_base.checkout(spec, root, home, base)
    side = load_side(old, _named(old, variant))
    return Side("merge-base", side.feature, side.digest)


def needs_baseline(spec: Spec) -> bool:
    return any(clause.relative for check in spec.checks for clause in check.clauses)


def quality(check: Check) -> bool:
    """Is it scored on the output (rather than measured on the call)?"""
    return check.score not in ("latency", "cost")
