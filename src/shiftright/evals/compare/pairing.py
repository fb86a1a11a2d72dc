"""Which row of the old file belongs to which of the new one: by case id, else by input, never by position."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec

from shiftright.core.case import digest_of
from shiftright.core.counting import counted
from shiftright.datasets.result_files import ResultRow
from shiftright.datasets.result_files.rows import id_of
from shiftright.errors import UsageError
from shiftright.evals.compare.grouping import joined_groups

PairedBy = Literal["id", "input"]
FEWEST = 2
Rows = tuple[ResultRow, ...]


class Pair(msgspec.Struct, frozen=True):
    """One case as both files have it: its rows on either side, one per repeat; ``group`` as both files have it."""

    case_id: str
    old: Rows
    new: Rows
    group: str | None = None

    @property
    def rows(self) -> Rows:
        return self.old + self.new

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tag for row in self.rows for tag in row.tags))

    def first(self, field: Literal["input", "expected"]) -> Any:
        """The first row's value that is there."""
        return next((value for row in self.rows if (value := getattr(row, field)) is not None), None)


class Pairing(msgspec.Struct, frozen=True):
    pairs: tuple[Pair, ...]
    by: PairedBy
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    notes: tuple[str, ...] = ()


def pair(old: Sequence[ResultRow], new: Sequence[ResultRow]) -> Pairing:
    """Match the cases of two files.

    Ids are believed while the inputs agree with them: tools number cases by position, and a number means another case
    once a case was added. Where an id stands for different inputs in the two files, inputs decide if they match more
    cases; else those cases are left out and a note says so.

    Raises:
        UsageError: when fewer than two cases match, or an id (or input) stands for several cases of one file.
    """
    sides = old, new
    by_id = _index(sides, _id)
    for rows in by_id or ():
        _refuse_ambiguous(rows, "id")
    shared = [key for key in by_id[0] if key in by_id[1]] if by_id else []
    unlike = [key for key in shared if by_id and not _same_input(by_id[0][key], by_id[1][key])]
    by_input = _index(sides, _input) if unlike or len(shared) < FEWEST else None
    matches = sum(key in by_input[1] for key in by_input[0]) if by_input else 0
    if by_input and matches >= FEWEST and matches > len(shared) - len(unlike):
        note = (
            ()
            if not shared
            else (f"{counted(len(unlike))} had another input under the same id: paired by input",)
        )
        return _pairing(by_input, "input", frozenset(), note)
    if by_id is None or len(shared) - len(unlike) < FEWEST:
        raise _unpaired(sides, shared, unlike)
    note = (
        (f"{counted(len(unlike))} had another input under the same id: left out ({few(unlike)})",)
        if unlike
        else ()
    )
    return _pairing(by_id, "input" if _named_by_input(sides) else "id", frozenset(unlike), note)


Index = dict[str, Rows]


def _index(
    sides: tuple[Sequence[ResultRow], Sequence[ResultRow]], key: Callable[[ResultRow], str | None]
) -> tuple[Index, Index] | None:
    """Rows by key on both sides; None when a row has no key."""
    made: list[Index] = []
    for rows in sides:
        found: dict[str, list[ResultRow]] = {}
        for row in rows:
            name = key(row)
            if name is None:
                return None
            found.setdefault(name, []).append(row)
        made.append({name: tuple(group) for name, group in found.items()})
    return made[0], made[1]


def _named_by_input(sides: tuple[Sequence[ResultRow], Sequence[ResultRow]]) -> bool:
    """Readers name a case without an id by its input."""
    return all(row.input is not None and row.case_id == id_of(row.input) for rows in sides for row in rows)


def _id(row: ResultRow) -> str | None:
    return row.case_id or None


def _input(row: ResultRow) -> str | None:
    return None if row.input is None else digest_of(row.input)


def _same_input(old: Rows, new: Rows) -> bool:
    """Do the inputs agree, as far as both files have them?"""
    mine, theirs = {_input(row) for row in old} - {None}, {_input(row) for row in new} - {None}
    return not mine or not theirs or mine == theirs


def _pairing(
    index: tuple[Index, Index], by: PairedBy, skip: frozenset[str], notes: tuple[str, ...]
) -> Pairing:
    old, new = index
    for rows in index:
        _refuse_ambiguous(rows, by)  # by input, ids may differ
    found = [(key, rows, new[key]) for key, rows in old.items() if key in new and key not in skip]
    groups, differ = joined_groups([both for _, *both in found])
    if differ:
        notes += ("the files group cases differently: those that share a group in any of them are one unit",)
    return Pairing(
        tuple(
            Pair(_name(key, mine, by), mine, theirs, group)
            for (key, mine, theirs), group in zip(found, groups, strict=True)
        ),
        by,
        tuple(_name(key, rows, by) for key, rows in old.items() if key not in new),
        tuple(_name(key, rows, by) for key, rows in new.items() if key not in old),
        notes,
    )


def _name(key: str, rows: Rows, by: PairedBy) -> str:
    """By input, the old file's id names the case, if it has one."""
    return key if by == "id" else rows[0].case_id or key


def _refuse_ambiguous(index: Index, by: PairedBy) -> None:
    """Several rows of one key are repeats only where they are the same case."""
    other = _input if by == "id" else _id
    for key, rows in index.items():
        kinds = {other(row) for row in rows} - {None}
        if len(kinds) > 1:
            what = f"the id {key!r} stands for {len(kinds)} different inputs"
            if by == "input":
                what = f"one input stands under {len(kinds)} ids ({few(str(kind) for kind in kinds)})"
            raise UsageError(
                f"{what} in one file: it cannot be paired", hint="Give every case an id of its own."
            )


def _unpaired(
    sides: tuple[Sequence[ResultRow], Sequence[ResultRow]], shared: Sequence[str], unlike: Sequence[str]
) -> UsageError:
    if unlike:
        return UsageError(
            f"{counted(len(unlike))} have the same id in both files but another input ({few(unlike)}), "
            "and inputs do not match either",
            hint="Compare two runs on the same cases; ids that count positions do not name a case.",
        )
    shown = " and ".join(few(row.case_id or "a row without an id" for row in rows) for rows in sides)
    return UsageError(
        f"{counted(len(shared))} in both files; at least {FEWEST} are needed (the files begin with {shown})",
        hint="Both runs need the same case ids (a column id or case_id) or the same inputs.",
    )


def few(names: Iterable[str]) -> str:
    listed = list(dict.fromkeys(names))
    return ", ".join(listed[:3]) + (", …" if len(listed) > 3 else "")
