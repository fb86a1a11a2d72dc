"""``shiftright.yaml`` in a project's root: what holds for all its contracts, and what only its server reads."""

from __future__ import annotations

from pathlib import Path

from shiftright.core.yaml_text import Map, Mark, decode, parse
from shiftright.errors import SpecError

COMPANY_FILE = "shiftright.yaml"


def company(root: Path) -> Map:
    """The document; empty where there is none, or nothing in it.

    Raises:
        SpecError: it cannot be read, or is no mapping.
    """
    file = root / COMPANY_FILE
    if not file.is_file():
        return Map(Mark(file, 1))
    document = parse(decode(file.read_bytes(), file=file, error=SpecError), file=file, error=SpecError)
    if document is None:
        return Map(Mark(file, 1))
    if not isinstance(document, Map):
        raise SpecError(
            "is not a mapping of keys", file=file, line=1, hint="It may have providers:, gateway: and data:."
        )
    return document
