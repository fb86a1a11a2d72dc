"""Find contracts under a project's root, and the one a command means."""

from __future__ import annotations

import os
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

    Raises:
        UsageError: for an unknown name (with the nearest one), or one that two contracts have.
        SpecError: for a name like no other, of the first contract that cannot be read: it may be the one meant.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    if (path / FILE_NAME).is_file():
        return path / FILE_NAME
    features, unreadable = _features(root)
    found = features.get(name_or_path, [])
    if len(found) == 1:
        return found[0]
    if found:
        places = " and ".join(str(place) for place in found)
        message = f"{len(found)} contracts are called {name_or_path!r}: {places}"
        raise UsageError(message, hint="Give the path, or rename one.")
    near = nearest(name_or_path, features)
    if unreadable and near is None:
        raise unreadable[0]
    guess = f"Did you mean {near!r}? " if near else ""
    known = f"Known: {', '.join(sorted(features))}." if features else "There is none yet: shiftright init."
    also = f" It may also be the contract that cannot be read: {unreadable[0]}" if unreadable else ""
    raise UsageError(f"there is no feature {name_or_path!r} under {root}", hint=guess + known + also)


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
