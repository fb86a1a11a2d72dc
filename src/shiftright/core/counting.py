"""Numbers with their nouns."""

from __future__ import annotations


def counted(n: int, noun: str = "case") -> str:
    """``1 case``, ``2,000 cases``: ``noun`` in the singular, its plural a regular one."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
