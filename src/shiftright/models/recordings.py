"""Model answers in a file, by the digest of the request: what a runner without keys can be given.

Rows of JSON lines: ``{key, repeat, latency_s, cost_usd, response}``; ``response`` is pydantic-ai's JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from shiftright.errors import StoreError
from shiftright.models.cache import ModelCache, pack, unpack
from shiftright.store.rows import CachedCall


class Recorded(msgspec.Struct, frozen=True):
    """One answer. ``cost_usd`` is None where the price was unknown."""

    key: str
    repeat: int
    latency_s: float
    cost_usd: float | None
    response: msgspec.Raw


class Listening:
    """A cache that notes every answer which goes through it."""

    def __init__(self, cache: ModelCache) -> None:
        self._cache = cache
        self.heard: dict[tuple[str, int], bytes] = {}

    def get(self, key: str, repeat: int) -> bytes | None:
        body = self._cache.get(key, repeat)
        if body is not None:
            self.heard[key, repeat] = body
        return body

    def put(self, key: str, repeat: int, body: bytes) -> None:
        self._cache.put(key, repeat, body)
        self.heard[key, repeat] = body


def read(path: Path) -> list[CachedCall]:
    """
    Raises:
        StoreError: with the line that is no recorded answer.
    """
    decode, found = msgspec.json.Decoder(Recorded).decode, []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(
                f"not a recorded answer: {error}",
                file=path,
                line=number,
                hint="Restore the file from git, or write it anew: shiftright gate --record",
            ) from None
        found.append(CachedCall(row.key, row.repeat, pack(row.latency_s, row.cost_usd, bytes(row.response))))
    return found


def write(path: Path, calls: Iterable[CachedCall]) -> None:
    """Replace the file: one answer a line in the order of their keys, so that git merges it."""
    rows = sorted(calls, key=lambda call: (call.key, call.repeat))
    lines = []
    for call in rows:
        latency_s, cost_usd, response = unpack(call.body)
        lines.append(
            msgspec.json.encode(Recorded(call.key, call.repeat, latency_s, cost_usd, msgspec.Raw(response)))
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.tmp")
    part.write_bytes(b"".join(line + b"\n" for line in lines))
    part.replace(path)
