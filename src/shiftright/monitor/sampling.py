"""Which traces are scored: a lot drawn from the trace's id, so that every process and every look draws the same."""

from __future__ import annotations

import hashlib

DEFAULT_SAMPLE = 0.10
DEFAULT_MONTH_USD = 5.0
_RANGE = float(2**64)


def drawn(trace_id: str, share: float) -> bool:
    """Is this trace among the ``share`` of all? What is drawn at a smaller share is drawn at a larger one too.

    The id is hashed: some makers of ids put the time into it.
    """
    digest = hashlib.blake2b(trace_id.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _RANGE < share
