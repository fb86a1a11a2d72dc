"""Inputs that say nearly the same: one group in the queue, one case in a draft."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from shiftright.tracing.exchange import text_of

ALIKE = 0.6
NEARLY_EQUAL = 0.9
MOST_WORDS = 400
MOST_COMPARED = 2_000
"""Groups after these stand for themselves alone: the work stays bounded."""

_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")

Kind = TypeVar("Kind")


def words(value: object) -> frozenset[str]:
    """The words of an input, capitals and numbers aside: "order 17" and "Order 23" are alike."""
    found = _WORD.findall(_DIGITS.sub("0", text_of(value).casefold()))
    return frozenset(found[:MOST_WORDS])


def alike(one: frozenset[str], other: frozenset[str]) -> float:
    """Words shared, as a share of all (Jaccard 1912); 1 for two empty ones."""
    return len(one & other) / len(one | other) if one or other else 1.0


def grouped(entries: Iterable[tuple[Kind, object]], *, at_least: float = ALIKE) -> list[list[Kind]]:
    """Entries whose inputs are alike, each compared with the first of every group; in order of appearance."""
    firsts: list[frozenset[str]] = []
    groups: list[list[Kind]] = []
    for entry, value in entries:
        mine = words(value)
        place = _nearest(mine, firsts, at_least)
        if place is not None:
            groups[place].append(entry)
            continue
        groups.append([entry])
        if len(firsts) < MOST_COMPARED:
            firsts.append(mine)
    return groups


def _nearest(mine: frozenset[str], firsts: Sequence[frozenset[str]], at_least: float) -> int | None:
    best, place = at_least, None
    for number, first in enumerate(firsts):
        # no more can be shared than the smaller one has
        if min(len(mine), len(first)) >= best * max(len(mine), len(first)):
            share = alike(mine, first)
            if share >= best:
                best, place = share, number
                if share == 1.0:
                    break
    return place
