"""Identifiers made by the writer: rows of one flush refer to each other before they are stored."""

from __future__ import annotations

import os
import time
from random import getrandbits

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARS = 9
_RANDOM_CHARS = 4


def answer_id() -> str:
    """26 hex digits that sort roughly by time: neighbours in time are neighbours in the index."""
    # one per answer, so its price counts; reseeded after a fork, and nobody gains by guessing it
    return f"{time.time_ns() // 1000:014x}{getrandbits(48):012x}"


def sortable_id(kind: str, after: str | None = None) -> str:
    """A short id such as ``r-1jd2k8w9q4x7f`` that sorts after ``after``, the newest one stored.

    Milliseconds since 1970 in Crockford's base 32, then 20 random bits. If the clock stands before ``after``
    the id counts on from it: a clock set back never makes a new run look old.
    """
    now = time.time_ns() // 1_000_000
    if after is not None:
        now = max(now, _from_base32(after.removeprefix(f"{kind}-")[:_TIME_CHARS]) + 1)
    noise = int.from_bytes(os.urandom(3), "big") >> 4
    return f"{kind}-{_base32(now, _TIME_CHARS)}{_base32(noise, _RANDOM_CHARS)}"


def _base32(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _from_base32(text: str) -> int:
    number = 0
    for char in text:
        number = number * 32 + _ALPHABET.index(char)
    return number
