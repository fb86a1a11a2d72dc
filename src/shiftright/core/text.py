"""Text that every store and wire format takes, and what a person means by one."""

from __future__ import annotations

from typing import Any


def storable(text: str) -> str:
    """With halves of surrogate pairs spelled out: they have no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def written(text: str) -> Any:
    """What a person wrote in a form, on a command line or through an agent: JSON where it is an object, a list or a
    quoted text, else the text itself. A bare 5 is a text, as what most features answer is."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return text
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text
