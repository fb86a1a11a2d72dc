"""Where two outputs differ, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import msgspec

from shiftright.evals.report.visible import shown, visible

# Beyond this a word-by-word diff takes seconds and nobody reads it.
LONGEST = 20_000
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


class Piece(NamedTuple):
    """A stretch of text; ``changed`` where the other side has something else there."""

    text: str
    changed: bool


def difference(before: Any, now: Any) -> tuple[list[Piece], list[Piece]]:
    """Both outputs as pieces, control characters visible. Data is laid out one key a line."""
    old, new = laid_out(before), laid_out(now)
    if len(old) + len(new) > LONGEST or not old or not new:
        same = old == new
        return [Piece(cut(old), not same)], [Piece(cut(new), not same)]
    left, right = _WORD.findall(old), _WORD.findall(new)
    before_pieces, now_pieces = [], []
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if i2 > i1:
            before_pieces.append(Piece("".join(left[i1:i2]), kind != "equal"))
        if j2 > j1:
            now_pieces.append(Piece("".join(right[j1:j2]), kind != "equal"))
    return before_pieces, now_pieces


def cut(text: str) -> str:
    """The text, or as much of it as a page can hold, with how much that is and where the rest is."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n… {LONGEST:,} of {len(text):,} characters; shiftright show RUN --json has all of them"


def laid_out(value: Any) -> str:
    """Text as it is; a mapping or list as indented JSON where it does not fit a line."""
    if isinstance(value, (dict, list)):
        line = shown(value)
        if len(line) <= 60:
            return line
        return visible(msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2).decode())
    return shown(value)
