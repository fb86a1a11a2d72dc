"""Where recorded runs come from: a file of any tool, rows, or a DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from shiftright.datasets import result_files
from shiftright.datasets.result_files import ResultRow
from shiftright.errors import DatasetError, UsageError
from shiftright.evals.compare.frames import rows_of


@runtime_checkable
class Frame(Protocol):
    """What is asked of a DataFrame."""

    def to_dict(self, orient: Any, /) -> Any: ...


Source = str | Path | Sequence[ResultRow] | Frame


class Recorded(msgspec.Struct, frozen=True):
    """One recorded run (or several, as repeats) of one thing."""

    name: str
    rows: tuple[ResultRow, ...]
    warnings: tuple[str, ...] = ()


def open_source(source: Source, name: str, *, metric: str | None) -> Recorded:
    """``name`` is for what has none of its own; ``metric`` may choose a DataFrame's column.

    Raises:
        DatasetError: when it cannot be read, or has no row.
        UsageError: when it is none of the kinds of source.
    """
    if isinstance(source, str | Path):
        file = result_files.read(source)
        found = Recorded(str(source), file.rows, file.warnings)
    elif isinstance(source, Frame):
        try:
            table = rows_of(source, metric=metric)
        except DatasetError as cause:
            raise DatasetError(f"{name}: {cause.message}", hint=cause.hint) from None
        found = Recorded(name, table.rows, table.warnings)
    elif isinstance(source, Sequence) and all(isinstance(row, ResultRow) for row in source):
        found = Recorded(name, tuple(row for row in source if isinstance(row, ResultRow)))
    else:
        raise UsageError(
            f"{name}: not a result file, a DataFrame, or rows",
            hint="Give a path, a DataFrame or a list of ResultRow.",
        )
    if not found.rows:
        raise DatasetError(f"{found.name} has no rows", hint="Was the run interrupted? Run it again.")
    return found
