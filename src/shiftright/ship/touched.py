"""Which features a change touches: their contract, cases, prompts and code, by path. No user code is run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from shiftright import spec as specs
from shiftright.core.spec import Spec, Variant
from shiftright.evals import merge_base
from shiftright.features import identity
from shiftright.features.loading import run_of
from shiftright.spec.checks import FUNCTION
from shiftright.spec.loading import RECORDED
from shiftright.usercode import sources

# Memory of decisions and of answers: it is no part of a feature.
MEMORY = ("shiftright.lock", "recordings")


class Change(msgspec.Struct, frozen=True):
    """What differs between a commit and the working tree. ``files`` are whole paths, of removed files too; a renamed
    file is two. ``new`` are those among them that git does not know yet."""

    commit: str
    top: Path
    files: frozenset[Path]
    new: frozenset[Path] = frozenset()


class Touched(msgspec.Struct, frozen=True):
    """A contract that the change concerns, and the files that made it so, relative to the checkout."""

    spec: Spec
    files: tuple[str, ...]


def change(root: Path, base: str | None = None) -> Change:
    """Everything since the merge-base with ``base``: commits, what is staged, what is not, and new files.

    Raises:
        SpecError: when there is no git history to compare with.
    """
    top, commit = merge_base.top_of(root), merge_base.commit_of(root, base)
    memory = {root.resolve() / name for name in MEMORY}
    known, new = (
        frozenset(path for path in found if not memory & {path, *path.parents})
        for found in (_changed(top, commit), _new(top))
    )
    return Change(commit, top, known | new, new)


def touched(root: Path, change: Change) -> list[Touched]:
    """The contracts under ``root`` that the change concerns, in the order of their paths.

    Raises:
        SpecError: when something was changed and a contract cannot be read: what concerns it cannot be told.
    """
    if not change.files:
        return []
    paths = [path.resolve() for path in specs.discover(root)]
    folders = {path.parent for path in paths}
    found = []
    for path in paths:
        spec = specs.load(path)
        files = _concerns(spec) & change.files
        files |= _by_pattern(spec, change) if spec.touches else _in_folder(spec, change, folders)
        if files:
            found.append(Touched(spec, tuple(sorted(p.relative_to(change.top).as_posix() for p in files))))
    return found


def removed(root: Path, copy: Path, change: Change) -> list[Spec]:
    """Contracts of the copy (the checkout as it was) whose feature has none any more.

    Raises:
        SpecError: when one of today's contracts cannot be read.
    """
    gone = [p for p in change.files if p.name == "spec.yaml" and not p.exists() and p.is_relative_to(root)]
    before = [copy / path.relative_to(change.top) for path in sorted(gone)]
    if not any(path.is_file() for path in before):
        return []
    now = {specs.load(path).feature for path in specs.discover(root)}
    old = (specs.load(path) for path in before if path.is_file())
    return [spec for spec in old if spec.feature not in now]


def _concerns(spec: Spec) -> set[Path]:
    """The contract, what it extends, its cases, what its checks read, and the files of every variant."""
    found = {*specs.files(spec.path), *(path.resolve() for path in spec.cases.values())}
    for check in spec.checks:
        texts = [value for value in check.params.values() if isinstance(value, str) and "\n" not in value]
        found |= {path.resolve() for text in texts if (path := spec.root / text).is_file()}
        if FUNCTION.fullmatch(check.score):
            found |= sources.trace(check.score.partition(":")[0], spec.root).modules
    for variant in spec.variants.values() or (Variant("", root=spec.root),):
        found |= set(identity.files(spec, variant, *_kind(spec, variant)).values())
    return found


def _kind(spec: Spec, variant: Variant) -> tuple[str, str | None]:
    """Kind and module of a variant as ``features.load`` would find them, without importing anything."""
    run = run_of(spec, variant)
    if run is None or run.startswith(("http://", "https://")):
        return "prompt", None
    if run.startswith(RECORDED):
        return "recorded", None
    return ("function", run.partition(":")[0]) if FUNCTION.fullmatch(run) else ("command", None)


def _in_folder(spec: Spec, change: Change, folders: set[Path]) -> set[Path]:
    """Files of the contract's folder and not of another contract's below it. A new file that nobody names and nobody
    has added is somebody's notes."""
    root = spec.root.resolve()
    inside = {path for path in change.files - change.new if path.is_relative_to(root)}
    return {path for path in inside if next(p for p in path.parents if p in folders) == root}


def _by_pattern(spec: Spec, change: Change) -> set[Path]:
    """Files that ``touches`` means; git matches, so that removed files are found too."""
    folder = spec.root.resolve().relative_to(change.top).as_posix()
    patterns = [
        f":(glob,top){pattern if folder == '.' else f'{folder}/{pattern}'}" for pattern in spec.touches
    ]
    found = (*_changed(change.top, change.commit, *patterns), *_new(change.top, *patterns))
    return set(found) & change.files


def _changed(top: Path, commit: str, *patterns: str) -> Iterator[Path]:
    yield from _paths(
        top, "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", commit, "--", *patterns
    )


def _new(top: Path, *patterns: str) -> Iterator[Path]:
    yield from _paths(top, "ls-files", "-z", "--others", "--exclude-standard", "--", *patterns)


def _paths(top: Path, *words: str) -> Iterator[Path]:
    listed = merge_base.git(top, *words)
    if listed.returncode != 0:
        raise merge_base.refused(listed)
    yield from (top / name for name in listed.stdout.decode("utf-8", "surrogateescape").split("\0") if name)
