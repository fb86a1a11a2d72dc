"""A random secret of a project, kept in a file that only its owner can read."""

from __future__ import annotations

import os
from pathlib import Path

from shiftright.errors import StoreError

SIZE = 32


def kept_secret(path: Path) -> bytes:
    """The secret in this file; made where there is none.

    Raises:
        StoreError: when the file cannot be read, or its folder not be written.
    """
    try:
        return _read(path) or _made(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", hint="Make the folder writable.") from error


def _read(path: Path) -> bytes | None:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    return found if len(found) == SIZE else None


def _made(path: Path) -> bytes:
    """Written beside it and linked into place: of two processes that begin at once, one's secret is everybody's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    draft.touch(mode=0o600)
    try:
        draft.write_bytes(os.urandom(SIZE))
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            if _read(path) is None:  # damaged: half a secret signs nothing
                draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    made = _read(path)
    assert made is not None
    return made
