"""Identifiers made by the writer: rows of one flush refer to each other before they are stored."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARS = 9
_RANDOM_CHARS = 4


def _numbers() -> Iterator[int]:
    """From microseconds since 1970 and 48 random bits on: no two processes share a number."""
    return itertools.count((time.time_ns() // 1000 << 48) + int.from_bytes(os.urandom(6), "big"))


_next = _numbers()


def _after_fork() -> None:
    global _next
    _next = _numbers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def answer_id() -> str:
    """26 hex digits: those of one process follow each other, in the index too."""
    return f"{next(_next):026x}"


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
