"""Who may give feedback without a key: the browser that was given the answer (docs/decisions/feedback-tokens.md)."""

from __future__ import annotations

import hmac
from hashlib import blake2b, sha256

from shiftright.errors import StoreError
from shiftright.settings import Settings
from shiftright.store.secret import kept_secret

FILE = "feedback.key"
_TOKEN_BYTES = 16


def secret(settings: Settings) -> bytes:
    """What tokens are signed with: drawn from the server's key, so that every replica with that key agrees; without
    one, a random secret in the project's home folder that only its owner can read.

    Raises:
        StoreError: when the folder cannot be written.
    """
    if settings.key:
        return hmac.digest(settings.key.encode(), b"feedback", sha256)
    try:
        return kept_secret(settings.home / FILE)
    except StoreError as error:
        raise StoreError(error.message, hint="Set SHIFTRIGHT_KEY, or make the folder writable.") from error


def token(key: bytes, trace_id: str) -> str:
    """What the answer to a user carries in ``x-feedback-token``: it opens feedback on this trace and nothing else."""
    # keyed BLAKE2b (RFC 7693): every answer of the gateway gets one, and it takes a third of the time of an HMAC
    return blake2b(trace_id.encode(), key=key, digest_size=_TOKEN_BYTES).hexdigest()


def fits(key: bytes, trace_id: str, given: str | None) -> bool:
    """Is it the token of this trace? In constant time."""
    return given is not None and hmac.compare_digest(token(key, trace_id).encode(), given.encode())
