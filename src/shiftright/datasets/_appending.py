"""Add cases to a file: all of them or none, and what was there stays as it was."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from shiftright.core.case import Case
from shiftright.datasets.dataset import load
from shiftright.datasets.sealed import SUFFIX
from shiftright.errors import DatasetError


def append(path: str | Path, cases: Iterable[Case]) -> None:
    """Add cases at the end of a ``.jsonl`` or ``.csv`` file (a missing ``.jsonl`` is created).

    The bytes before them stay identical; the file is replaced in one step and is on disk on return. Processes
    that append at once take turns.

    Raises:
        DatasetError: when an id is taken, the format cannot be appended to, or a CSV lacks a column.
    """
    file = Path(path).resolve()
    new = list(cases)
    if file.suffix not in (".jsonl", ".csv"):
        hint = (
            "Convert it to .jsonl." if file.suffix != SUFFIX else "Add to what was sealed, and seal it anew."
        )
        raise DatasetError(f"cases cannot be added to {file.suffix or 'this'} files", file=file, hint=hint)
    with _turn(file.parent):
        before = file.read_bytes() if file.exists() else b""
        taken = {case.id for case in load(file)} if before.strip() else set()
        for case in new:
            if case.id in taken:
                raise DatasetError(
                    f"the id {case.id!r} is taken", file=file, hint="Give the new case another id."
                )
            taken.add(case.id)
        gap = b"\n" if before and not before.endswith(b"\n") else b""
        added = _jsonl(new) if file.suffix == ".jsonl" else _csv(new, before, file)
        _replace(file, before + gap + added)


def row_of(case: Case) -> dict[str, Any]:
    """The case as a row of a file, without what it does not have."""
    row: dict[str, Any] = {"id": case.id}
    row["input" if case.messages is None else "messages"] = case.value
    if case.expected is not None:
        row["expected"] = case.expected
    extra = {"tags": list(case.tags), "group": case.group, "source": case.source}
    return row | {key: value for key, value in extra.items() if value}


def _jsonl(cases: list[Case]) -> bytes:
    return b"".join(msgspec.json.encode(row_of(case)) + b"\n" for case in cases)


def _csv(cases: list[Case], before: bytes, file: Path) -> bytes:
    import csv

    lines = io.StringIO(before.decode("utf-8-sig"), newline="")
    header_line = lines.getvalue().split("\n", 1)[0]
    delimiter = max(",;\t", key=header_line.count)
    header = [name.strip() for name in next(csv.reader(lines, delimiter=delimiter), [])]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    for case in cases:
        row = row_of(case)
        if "input" not in header and isinstance(row.get("input"), dict):
            row |= row.pop("input")
        missing = next((key for key in row if key not in header), None)
        if missing is not None:
            raise DatasetError(
                f"there is no column {missing!r}", file=file, line=1, hint="Add it to the first line."
            )
        writer.writerow([_cell(row.get(name, "")) for name in header])
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _replace(file: Path, data: bytes) -> None:
    """Write beside the file, flush to disk, rename over it: a crash leaves the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if file.exists():
            shutil.copymode(file, draft)
        else:
            draft.chmod(0o644)
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One appending process per folder at a time: the slower of two would drop the other's cases."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
