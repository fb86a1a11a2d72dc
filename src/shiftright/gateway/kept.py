"""Answers kept for equal requests, in memory: an opt-in that saves time and money where questions repeat."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

import msgspec

from shiftright.gateway.refusal import Headers

_MOST_BYTES = 64_000_000
_LARGEST_BYTES = 2_000_000


class Kept(msgspec.Struct, frozen=True):
    """An answer and until when (monotonic seconds) it may be given again."""

    headers: Headers
    body: bytes
    until: float


class KeptAnswers:
    """At most 64 MB, the longest unused going first; each caller sees only answers to its own requests."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = 0

    @staticmethod
    def name(*parts: bytes) -> bytes:
        hasher = hashlib.sha256()
        for part in parts:
            hasher.update(len(part).to_bytes(8, "little"))
            hasher.update(part)
        return hasher.digest()

    def get(self, name: bytes) -> Kept | None:
        found = self._kept.get(name)
        if found is None:
            return None
        if found.until < time.monotonic():
            self._drop(name)
            return None
        self._kept.move_to_end(name)
        return found

    def put(self, name: bytes, headers: Headers, body: bytes, seconds: float) -> None:
        """Keep an answer, unless it is very large."""
        if len(body) > _LARGEST_BYTES:
            return
        if name in self._kept:
            self._drop(name)
        self._kept[name] = Kept(headers, body, time.monotonic() + seconds)
        self._bytes += len(body)
        while self._bytes > _MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, name: bytes) -> None:
        self._bytes -= len(self._kept.pop(name).body)
