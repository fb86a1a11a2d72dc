"""Find contracts under a project's root, and the one a command means."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from shiftright.errors import SpecError, UsageError
from shiftright.spec.loading import read_document
from shiftright.spec.sections import nearest

FILE_NAME = "spec.yaml"
SKIPPED = frozenset({"node_modules", "__pycache__", "build", "dist", "venv", "site-packages"})


def discover(root: str | Path) -> list[Path]:
    """Every ``spec.yaml`` under ``root`` in path order; hidden, build and dependency folders are left out."""
    found = []
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if name not in SKIPPED and not name.startswith(".")]
        if FILE_NAME in files:
            found.append(Path(folder) / FILE_NAME)
    return sorted(found)


def find(name_or_path: str, root: str | Path) -> Path:
    """The contract a command means: a feature's name under ``root``, or a path to the file or its folder.

    A bare word is a feature's name first, and a folder only where no feature has that name.

    Raises:
        UsageError: for an unknown name (with the nearest one), or one that two contracts have.
        SpecError: for a name like no other, of the first contract that cannot be read: it may be the one meant.
    """
    path = _at(name_or_path)
    if path is not None and _looks_like_a_path(name_or_path):
        return path
    features, unreadable = _features(root)
    found = features.get(name_or_path, [])
    if len(found) == 1:
        return found[0]
    if found:
        places = " and ".join(str(place) for place in found)
        message = f"{len(found)} contracts are called {name_or_path!r}: {places}"
        raise UsageError(message, hint="Give the path, or rename one.")
    if path is not None:
        return path
    if unreadable and nearest(name_or_path, features) is None:
        raise unreadable[0]
    raise unknown(name_or_path, features, root, unreadable)


def named(feature: str, root: str | Path) -> Path:
    """The one contract of this feature under ``root``; never a path, for names that come from elsewhere (traces).

    Raises:
        UsageError: for an unknown name (with the nearest one), or one that two contracts have.
    """
    features, unreadable = _features(root)
    if feature not in features:
        raise unknown(feature, features, root, unreadable)
    return find(feature, root)


def names(root: str | Path) -> dict[str, list[Path]]:
    """Feature -> its contracts (one, unless two share a name); those that cannot be read have no name."""
    return _features(root)[0]


def unknown(
    name: str, known: Collection[str], root: str | Path, unreadable: Sequence[SpecError] = ()
) -> UsageError:
    """That there is no such feature, with the nearest name that is known."""
    near = nearest(name, known)
    guess = f"Did you mean {near!r}? " if near else ""
    names = ", ".join(sorted(known))
    also = f" It may also be the contract that cannot be read: {unreadable[0]}" if unreadable else ""
    return UsageError(
        f"there is no feature {name!r} under {root}",
        hint=guess + (f"Known: {names}." if names else "There is none yet: shiftright init.") + also,
    )


def _at(path: str) -> Path | None:
    """The contract at a path, or in a folder."""
    file = Path(path)
    if file.suffix in (".yaml", ".yml") and file.is_file():
        return file
    return file / FILE_NAME if (file / FILE_NAME).is_file() else None


def _looks_like_a_path(given: str) -> bool:
    return given in (".", "..") or given.endswith((".yaml", ".yml")) or bool({"/", os.sep} & set(given))


def _features(root: str | Path) -> tuple[dict[str, list[Path]], list[SpecError]]:
    """Name -> contracts, and what is wrong with those that cannot be read, which have no name."""
    features: dict[str, list[Path]] = {}
    unreadable: list[SpecError] = []
    for path in discover(root):
        try:
            name = read_document(path).get("feature")
        except SpecError as error:
            unreadable.append(error)
            continue
        if isinstance(name, str):
            features.setdefault(name, []).append(path)
    return features, unreadable
