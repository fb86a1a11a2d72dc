"""Rows as cases: their keys and types, ids and digests."""

from __future__ import annotations

from collections.abc import Container, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from shiftright.core.case import Case, Message
from shiftright.core.counting import counted
from shiftright.core.yaml_text import plain
from shiftright.datasets._reading import COLUMNS, MAX_CASE_BYTES, Row, too_large
from shiftright.errors import DatasetError

_KEYS = frozenset(COLUMNS)
_encode = msgspec.json.Encoder(order="deterministic").encode


def cases_of(rows: Iterable[Row], file: Path) -> tuple[list[Case], list[str]]:
    """The cases, and warnings for the user.

    Raises:
        DatasetError: with the line of the row that cannot be a case, or whose id is taken.
    """
    cases: list[Case] = []
    lines: dict[str, int] = {}
    unnamed: dict[str, list[int]] = {}
    for line, row in rows:
        case = _case(row, file, line)
        if not case.id:
            unnamed.setdefault(case.input_digest, []).append(len(cases))
        elif case.id in lines:
            message = f"the id {case.id!r} is taken by line {lines[case.id]}"
            raise DatasetError(
                message, file=file, line=line, hint="Give each case an id of its own, or none."
            )
        else:
            lines[case.id] = line
        cases.append(case)
    return cases, _name(cases, unnamed, lines)


def _name(cases: list[Case], unnamed: dict[str, list[int]], taken: Container[str]) -> list[str]:
    """Ids from the inputs; cases with one input are one statistical unit, so they share a group."""
    repeats = 0
    for digest, places in unnamed.items():
        base = digest[:12]
        number = 0
        for place in places:
            number += 1
            while (name := base if number == 1 else f"{base}-{number}") in taken:
                number += 1
            group = cases[place].group or (base if len(places) > 1 else None)
            cases[place] = msgspec.structs.replace(cases[place], id=name, group=group)
        repeats += len(places) - 1
    if not repeats:
        return []
    verb = "repeats" if repeats == 1 else "repeat"
    return [
        f"{counted(repeats, 'case')} {verb} the input of another; those with one input count as one unit (same group)."
    ]


def _case(row: dict[str, Any], file: Path, line: int) -> Case:
    if not _KEYS.issuperset(row):
        raise _unknown_key(row, file, line)
    get = row.get
    messages = _messages(row, file, line) if "messages" in row else None
    value = plain(get("input")) if messages is None else plain(get("messages"))
    expected = plain(get("expected"))
    if messages is None and "input" not in row:
        raise DatasetError("a case needs input or messages", file=file, line=line, hint='Add "input": …')
    # digest_of(value) and digest_of(value, expected) of core.case, hashing the input once.
    data = _encode(value)
    hasher = blake2b(len(data).to_bytes(8, "little"), digest_size=16)
    hasher.update(data)
    input_digest = hasher.hexdigest()
    wanted = _encode(expected)
    hasher.update(len(wanted).to_bytes(8, "little") + wanted)
    if len(data) + len(wanted) > MAX_CASE_BYTES:
        raise too_large(file, line)
    return Case(
        id=_word(row, "id", file, line) or "",
        input=None if messages is not None else value,
        messages=messages,
        expected=expected,
        tags=_tags(row, file, line) if "tags" in row else (),
        group=_word(row, "group", file, line),
        source=_word(row, "source", file, line),
        input_digest=input_digest,
        digest=hasher.hexdigest(),
    )


def _messages(row: dict[str, Any], file: Path, line: int) -> tuple[Message, ...]:
    messages = row["messages"]
    hint = 'Messages are [{"role": "user", "content": "…"}, …].'
    if "input" in row:
        raise DatasetError("a case has input or messages, not both", file=file, line=line, hint="Drop one.")
    if not isinstance(messages, list) or not messages:
        raise DatasetError("messages is not a list of turns", file=file, line=line, hint=hint)
    turns = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise DatasetError("a message needs a role", file=file, line=line, hint=hint)
        extra = {key: plain(item) for key, item in message.items() if key not in ("role", "content")}
        turns.append(Message(message["role"], plain(message.get("content")), extra))
    return tuple(turns)


def _word(row: dict[str, Any], key: str, file: Path, line: int) -> str | None:
    """Text, or a whole number as text; absent, null and empty are None."""
    value = row.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if "\0" in value:
            hint = "Is the file complete, and UTF-8?"
            raise DatasetError(f"{key} holds a NUL character: {value!r:.80}", file=file, line=line, hint=hint)
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise DatasetError(f"{key} is not text", file=file, line=line, hint=f'Write "{key}": "…".')


def _tags(row: dict[str, Any], file: Path, line: int) -> tuple[str, ...]:
    tags = row["tags"]
    if tags is None:
        return ()
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag for tag in tags):
        raise DatasetError("tags is not a list of text", file=file, line=line, hint='Write "tags": ["…"].')
    return tuple(tags)


def _unknown_key(row: dict[str, Any], file: Path, line: int) -> DatasetError:
    import difflib

    key = next(key for key in row if key not in _KEYS)
    near = difflib.get_close_matches(key, COLUMNS, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    hint = f"{guess}Known: {', '.join(COLUMNS)}; anything else belongs inside input."
    return DatasetError(f"unknown key {key!r}", file=file, line=line, hint=hint)
