"""``shiftright release``: freeze a variant as it stands, with the evidence there is. Promoting is what needs proof."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from shiftright import spec as specs
from shiftright.core.release import Record, Release
from shiftright.core.spec import Check, Confidence, Spec
from shiftright.errors import SpecError
from shiftright.evals.merge_base import git
from shiftright.evals.target import Side, choose_variant, load_side, resolve
from shiftright.features import identity
from shiftright.settings import Settings
from shiftright.ship.chain import SIGNED_WITH
from shiftright.ship.evidence import Evidence, evidence_of
from shiftright.ship.loosened import loosened
from shiftright.ship.signatures import Signer
from shiftright.spec.keys import PARAM_FILES
from shiftright.store import Records
from shiftright.tracing import attributes

LARGEST_FILE = 1_000_000
"""Bytes of a file that a release keeps the text of; a larger one is a model or an index, known by its digest."""
_PATHS_A_COMMAND = 500
_ANSWERS_LOOKED_AT = 50


class Standing(msgspec.Struct, frozen=True):
    """A variant as it stands now: what a release of it would be, and what was decided about it.

    ``baseline`` digests the code that a verdict has to be against, None where no clause compares. ``looser`` says in
    words what this contract lets pass that the stable release's did not.
    """

    spec: Spec
    release: Release
    baseline: str | None
    evidence: Evidence | None
    looser: tuple[str, ...]
    notes: tuple[str, ...]


class Released(msgspec.Struct, frozen=True):
    """A record of kind ``release``; ``new`` is False where this very release with this evidence was recorded before."""

    standing: Standing
    record: Record
    new: bool


def standing(settings: Settings, records: Records, feature: str, variant: str | None = None) -> Standing:
    """A variant's files, code, contract and evidence as they are now.

    Raises:
        UsageError: for an unknown feature or variant.
        SpecError: when the variant cannot be loaded.
        DatasetError: when its cases cannot be read.
    """
    spec = specs.load(specs.find(feature, settings.root))
    side = load_side(spec, choose_variant(spec, variant, spec.baseline))
    baseline, evidence, notes = _evidence(spec, side, settings, records)
    release, said = _freeze(spec, side, settings.root, records)
    stable = records.releases.stable(spec.feature)
    looser = () if stable is None else looser_than(records.releases.get(stable), spec)
    return Standing(spec, release, baseline, evidence, looser, (*notes, *said))


def release(
    settings: Settings,
    records: Records,
    feature: str,
    variant: str | None = None,
    *,
    by: str = "",
    signer: Signer | None = None,
) -> Released:
    """Record the variant as it stands.

    Raises:
        Error: as ``standing``.
    """
    now = standing(settings, records, feature, variant)
    body: dict[str, Any] = {"release": now.release, "evidence": now.evidence, "looser": now.looser}
    if signer is not None:
        body[SIGNED_WITH] = signer.key
    body = msgspec.json.decode(msgspec.json.encode(body))  # as it will be read again, to compare

    def same(known: Record) -> bool:
        content = known.content
        return (
            content["evidence"] == body["evidence"]
            and content.get(SIGNED_WITH) == body.get(SIGNED_WITH)
            and (content["release"]["commit"] != "" or now.release.commit == "")
        )

    head = records.releases.newest()
    record = records.releases.append(
        "release",
        now.spec.feature,
        now.release.digest,
        body,
        by=by,
        same=same,
        sign=None if signer is None else signer.sign,
    )
    return Released(now, record, new=head is None or record.number > head.number)


def looser_than(stable: Release, spec: Spec) -> tuple[str, ...]:
    """What the contract lets pass that the stable release's did not, in words."""
    cases = {split: spec.cases.get(split, Path(split)) for split in stable.splits}
    asked = Spec(
        feature=stable.feature,
        path=spec.path,
        run=spec.run,
        cases=cases,
        checks=msgspec.convert(stable.checks, tuple[Check, ...]),
        baseline=spec.baseline,
        confidence=msgspec.convert(stable.confidence, Confidence),
        owner={"sign_off": list(stable.sign_off)},
    )
    return tuple(loosened(asked, spec))


def recorded(records: Records, release: Release) -> Record | None:
    """The newest record that froze this code of this variant under this contract."""

    def frozen(record: Record) -> bool:
        kept = record.content["release"]
        return all(kept[key] == getattr(release, key) for key in ("variant", "code", "contract"))

    chain = records.releases.list(release.feature)
    return next((r for r in reversed(chain) if r.kind == "release" and frozen(r)), None)


def _evidence(
    spec: Spec, side: Side, settings: Settings, records: Records
) -> tuple[str | None, Evidence | None, tuple[str, ...]]:
    """Against what it has to be proven, what was decided, and why nothing can have been."""
    if "gate" not in spec.cases:
        return None, None, ("the contract has no gate cases: nothing can be decided about it",)
    try:
        target = resolve(
            str(spec.path), settings.root, settings.home, variant=side.name, releases=records.releases
        )
    except SpecError as error:  # the baseline is what cannot be had: the variant itself was loaded before
        return None, None, (f"nothing can be decided: {error.message}",)
    baseline = target.baseline.digest if target.baseline else None
    return baseline, evidence_of(target, settings.root, records), ()


def _freeze(spec: Spec, side: Side, root: Path, records: Records) -> tuple[Release, Iterable[str]]:
    variant, feature = side.feature.variant, side.feature
    texts, notes = {}, []
    for name, path in identity.named_files(variant, feature.run).items():
        text = None if Path(name).is_absolute() else _text(path)
        if text is None:
            notes.append(f"{name} is not kept in the release: it has to stay as it is")
        else:
            texts[name] = text
    covered = identity.files(spec, variant, feature.kind, feature.module).values()
    commit, uncommitted = _commit(root, [*covered, *specs.files(spec.path)])
    if uncommitted:
        notes.append(f"no commit has it yet: {', '.join(uncommitted[:3])} changed")
    frozen = Release(
        feature=spec.feature,
        variant=variant.name,
        run=feature.run,
        settings=variant.settings,
        files=texts,
        code=side.digest,
        commit=commit,
        snapshot=_snapshot(side.digest, records),
        contract=spec.digest,
        checks=tuple(_plain(check, spec.root) for check in spec.checks),
        confidence=msgspec.to_builtins(spec.confidence),
        splits=tuple(sorted(spec.cases)),
        sign_off=tuple(spec.owner.get("sign_off", ())),
    )
    return frozen, notes


def _plain(check: Check, root: Path) -> dict[str, Any]:
    """The check as data that is the same on every machine, wherever in the contract it stands."""
    params = {
        name: Path(os.path.relpath(value, root.resolve())).as_posix() if name in PARAM_FILES else value
        for name, value in check.params.items()
    }
    clauses = tuple(msgspec.structs.replace(clause, line=0) for clause in check.clauses)
    plain = msgspec.structs.replace(check, params=params, clauses=clauses, line=0)
    built: dict[str, Any] = msgspec.to_builtins(plain)
    return built


def _text(path: Path) -> str | None:
    if path.stat().st_size > LARGEST_FILE:
        return None
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        return None


def _commit(root: Path, files: list[Path]) -> tuple[str, list[str]]:
    """HEAD where it has these files as they are, else "" and those that differ; "" outside of git."""
    head = git(root, "rev-parse", "--verify", "HEAD")
    if head.returncode != 0:
        return "", []
    changed = [name for part in _parts(files) for name in _changed(root, part)]
    return ("", changed) if changed else (head.stdout.decode().strip(), [])


def _parts(files: list[Path]) -> Iterator[list[str]]:
    names = [str(path.resolve()) for path in files]
    return (names[at : at + _PATHS_A_COMMAND] for at in range(0, len(names), _PATHS_A_COMMAND))


def _changed(root: Path, names: list[str]) -> list[str]:
    words = ("status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--", *names)
    done = git(root, *words)
    if done.returncode != 0:  # a file outside of the checkout is in no commit of it
        return names
    return [entry[3:] for entry in done.stdout.decode(errors="replace").split("\0") if entry]


def _snapshot(code: str, records: Records) -> str | None:
    """The models that the newest answers came from, as their provider named them."""
    for stored in records.answers.newest(code, limit=_ANSWERS_LOOKED_AT):
        named = {span.attributes.get(attributes.RESPONSE_MODEL) for span in stored.answer.spans}
        known = sorted(str(name) for name in named if name)
        if known:
            return ", ".join(known)
    return None
