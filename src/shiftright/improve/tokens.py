"""Who may give feedback without a key: the browser that was given the answer (docs/decisions/feedback-tokens.md)."""

from __future__ import annotations

import hmac
import os
from hashlib import blake2b, sha256
from pathlib import Path

from shiftright.errors import StoreError
from shiftright.settings import Settings

FILE = "feedback.key"
_SIZE = 32
_TOKEN_BYTES = 16


def secret(settings: Settings) -> bytes:
    """What tokens are signed with: drawn from the server's key, so that every replica with that key agrees; without
    one, a random secret in the project's home folder that only its owner can read.

    Raises:
        StoreError: when the folder cannot be written.
    """
    if settings.key:
        return hmac.digest(settings.key.encode(), b"feedback", sha256)
    path = settings.home / FILE
    try:
        return _read(path) or _made(path)
    except OSError as error:
        hint = "Set SHIFTRIGHT_KEY, or make the folder writable."
        raise StoreError(f"{path}: {error.strerror}", hint=hint) from error


def token(key: bytes, trace_id: str) -> str:
    """What the answer to a user carries in ``x-feedback-token``: it opens feedback on this trace and nothing else."""
    # keyed BLAKE2b (RFC 7693): every answer of the gateway gets one, and it takes a third of the time of an HMAC
    return blake2b(trace_id.encode(), key=key, digest_size=_TOKEN_BYTES).hexdigest()


def fits(key: bytes, trace_id: str, given: str | None) -> bool:
    """Is it the token of this trace? In constant time."""
    return given is not None and hmac.compare_digest(token(key, trace_id).encode(), given.encode())


def _read(path: Path) -> bytes | None:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    return found if len(found) == _SIZE else None


def _made(path: Path) -> bytes:
    """Written beside it and linked into place: of two processes that begin at once, one's secret is everybody's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE}.{os.getpid()}.{os.urandom(4).hex()}")
    draft.touch(mode=0o600)
    try:
        draft.write_bytes(os.urandom(_SIZE))
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
