"""DataFrames as result rows. Nothing is imported: a frame is asked for its rows as dicts."""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan
from typing import Any

import msgspec

from shiftright.datasets.result_files import ResultFile, from_records
from shiftright.datasets.result_files.reading import finished
from shiftright.datasets.result_files.table import ALIASES, SCORES

_FIELDS = frozenset(name for names in ALIASES.values() for name in names)


def rows_of(frame: Any, *, metric: str | None) -> ResultFile:
    """Columns are known by the names result files use. ``metric`` may name any other column of numbers; where no column
    has a score's name, every other column of numbers is a metric.

    A named index is a column like the others; an index that counts rows names no case.

    Raises:
        DatasetError: when no column says which case a row is of, or none is a score.
    """
    if any(name is not None for name in getattr(getattr(frame, "index", None), "names", ())):
        frame = frame.reset_index()
    records = [
        {str(key): _plain(value) for key, value in record.items()} for record in frame.to_dict("records")
    ]
    columns = list(records[0]) if records else []
    free = [
        name
        for name in columns
        if _free(name) and (_numbers(record[name] for record in records) or name == metric)
    ]
    scored = any(_scored(name) for name in columns)
    renamed = {name: f"score/{name}" for name in free if name == metric or not scored}
    found = from_records(
        {renamed.get(name, name): value for name, value in record.items()} for record in records
    )
    return finished(found) if found.rows else found


def _scored(column: str) -> bool:
    lower = column.lower()
    return (
        lower in SCORES
        or lower == "scores"
        or lower.startswith(("score/", "score.", "score_"))
        or lower.endswith("_score")
    )


def _free(column: str) -> bool:
    """Not a name that already means something; counts of tokens are amounts."""
    return column.lower() not in _FIELDS and not _scored(column) and "token" not in column.lower()


def _numbers(values: Iterable[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, int | float) for value in present)


def _plain(value: Any) -> Any:
    """A cell as JSON data; NaN, NaT and NA are None."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and isnan(value)):
        return None
    if hasattr(value, "tolist"):
        value = value.tolist()
    return msgspec.to_builtins(value, enc_hook=str, str_keys=True)
