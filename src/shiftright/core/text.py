"""Text that every store and wire format takes."""

from __future__ import annotations


def storable(text: str) -> str:
    """With halves of surrogate pairs spelled out: they have no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
