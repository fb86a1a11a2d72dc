"""One mapping of the contract against its section of the table: the errors everybody sees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shiftright.core.yaml_text import Map, Mark
from shiftright.errors import SpecError
from shiftright.spec.keys import Key, Section


def read(section: Section, mapping: Map, where: str = "") -> dict[str, Any]:
    """The mapping's values in natural units; keys an open section does not know are taken as they are.

    Args:
        where: how the mapping is called in errors (``checks.right``); empty for the top level.

    Raises:
        SpecError: unknown, unbuilt or missing keys, and values of the wrong sort.
    """
    values: dict[str, Any] = {}
    for name, raw in mapping.items():
        key = section.get(name)
        if key is not None:
            values[name] = value_of(key, raw, mapping.marks[name], where)
        elif section.open:
            values[name] = raw
        else:
            raise unknown(name, (key.name for key in section.keys), mapping.marks[name], where)
    for key in section.keys:
        if key.required and key.name not in mapping:
            raise fail(mapping.mark, f"{_inside(where)}{key.name} is missing", f"Add {key.shown}")
    return values


def value_of(key: Key, raw: Any, mark: Mark, where: str) -> Any:
    """One value as its key wants it."""
    label = f"{where}.{key.name}" if where else key.name
    if not key.engine:
        raise fail(
            mark,
            f"{label}: this version has no engine for {key.name!r}",
            "Remove it; it would not be carried out.",
        )
    try:
        return key.kind.read(raw)
    except ValueError as cause:
        shown = "nothing" if raw is None else cut(repr(raw), 80) if isinstance(raw, str) else _short(raw)
        hint = f"Expected {key.kind.expects}; as in {key.shown}"
        raise fail(mark, f"{label} is {shown}: {cause}", hint) from None


def unknown(name: str, known: Iterable[str], mark: Mark, where: str) -> SpecError:
    """An unknown key, with the nearest known one."""
    names = list(known)
    near = nearest(name, names)
    guess = f"Did you mean {near!r}? " if near else ""
    return fail(mark, f"{_inside(where)}unknown key {name!r}", f"{guess}Known: {', '.join(names)}.")


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name most like ``name``, if one is like it."""
    import difflib  # 10 ms that only an error pays

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def fail(mark: Mark, message: str, hint: str | None = None) -> SpecError:
    """A SpecError at a mark. What is quoted of the file may be of any length; a sentence is not."""
    return SpecError(cut(message, 400), file=mark.file, line=mark.line, hint=hint)


def cut(text: str, length: int) -> str:
    """The text, or its beginning and how long it is."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text):,} characters)"


def _inside(where: str) -> str:
    return f"{where}: " if where else ""


def _short(raw: Any) -> str:
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, int | float):
        return str(raw)
    return "a mapping" if isinstance(raw, dict) else "a list"
