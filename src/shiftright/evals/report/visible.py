"""Text of strangers, made safe to look at: what a terminal or a reader would not see as it is, is spelled out."""

from __future__ import annotations

import re
from typing import Any

import msgspec

# C0 and C1 controls (ESC starts ANSI sequences), bidi controls (they show text in an order it does not have;
# CVE-2021-42574), characters of no width, line and paragraph separators, tags, halves of surrogate pairs. Newline and
# tab are kept.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with every control character spelled out: ESC as ␛, others of ASCII alike, the rest as ⟨U+202E⟩."""
    return _HIDDEN.sub(_spell, text)


def _spell(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number < 0x20:
        return chr(0x2400 + number)
    return "␡" if number == 0x7F else f"⟨U+{number:04X}⟩"


def shown(value: Any) -> str:
    """A JSON value as a person reads it: text as it is, other data as JSON; control characters visible."""
    if isinstance(value, str):
        return visible(value)
    if value is None:
        return "–"
    # sorted, so that two outputs that differ in the order of keys alone look alike
    return visible(msgspec.json.encode(value, order="sorted").decode("utf-8", "replace"))


def short(value: Any, width: int) -> str:
    """One line of at most ``width`` characters."""
    line = " ".join(shown(value)[: 4 * width].split())
    return line if len(line) <= width else line[: max(width - 1, 1)].rstrip() + "…"
