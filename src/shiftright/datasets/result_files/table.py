"""Plain tables: CSV, JSONL, a JSON list of objects, or records of a data frame."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from shiftright.core.counting import counted
from shiftright.core.yaml_text import decode
from shiftright.datasets.result_files.rows import (
    ResultFile,
    ResultRow,
    id_of,
    is_missing,
    number_of,
    score_of,
)
from shiftright.datasets.result_files.source import Source
from shiftright.errors import DatasetError

ALIASES = {
    "case_id": ("case_id", "id", "question_id", "sample_id"),
    "input": ("input", "inputs", "question", "prompt", "text", "request", "query"),
    "output": ("output", "outputs", "prediction", "predictions", "response", "pred", "actual_output"),
    "expected": (
        "expected",
        "expected_output",
        "answer",
        "target",
        "targets",
        "ground_truth",
        "label",
        "reference",
    ),
    "failure": ("failure", "error", "error_message"),
    "latency_s": ("latency_s", "latency", "duration", "seconds"),
    "latency_ms": ("latency_ms", "latencyms", "duration_ms"),
    "cost_usd": ("cost_usd", "cost"),
    "group": ("group", "cluster"),
    "repeat": ("repeat", "epoch", "trial"),
    "tags": ("tags", "tag", "category"),
}
"""What columns are called, best name first; capitals do not matter."""
SCORES = ("score", "correct", "passed", "pass", "success", "is_correct", "accuracy")
_FIELDS = (
    "case_id input output expected score (or NAME_score, score/NAME) error latency cost group repeat tags"
)


class Table:
    title = "CSV, JSONL or a JSON list with columns like id, input, output, expected, score"
    general = True

    def recognises(self, source: Source) -> bool:
        if source.suffix in (".csv", ".tsv", ".jsonl", ".ndjson"):
            return True
        return isinstance(source.json, list) and bool(source.json) and isinstance(source.json[0], dict)

    def read(self, source: Source) -> ResultFile:
        if source.suffix in (".csv", ".tsv"):
            return from_records(*csv_records(source))
        return from_records(source.json) if source.json is not None else from_records(*_jsonl(source))


def from_records(records: Iterable[dict[str, Any]], lines: Sequence[int] = ()) -> ResultFile:
    """Rows from mappings of column to value. Ids are digests of the input where no column has them.

    ``lines``: where each record stands in its file, if it is one of lines.

    Raises:
        DatasetError: without a file, when no column says which case a row is of, or a score is no number.
    """
    listed = list(records)
    columns = list(dict.fromkeys(str(name) for record in listed for name in record))
    if not columns:
        return ResultFile("table", ())
    fields = _fields(columns)
    if "case_id" not in fields and "input" not in fields:
        raise DatasetError(f"no column of {', '.join(columns[:8])} says which case a row is of",
                           hint=f"Read are the columns {_FIELDS}.")  # fmt: skip
    scores = {
        name: _score_name(name) for name in columns if name not in fields.values() and _score_name(name)
    }
    nested = any(isinstance(record.get("scores"), dict) for record in listed)
    unread = [
        name
        for name in columns
        if name not in {*fields.values(), *scores} and not (nested and name == "scores")
    ]
    if not scores and not nested and not {"output", "expected"} <= fields.keys():
        raise DatasetError(f"no column of {', '.join(columns[:8])} is a score",
                           hint=f"Read are the columns {_FIELDS}.")  # fmt: skip
    rows = []
    for place, record in enumerate(listed):
        try:
            rows.append(_row(record, fields, scores))
        except DatasetError as cause:
            line, where = (lines[place], "") if lines else (None, f"row {place + 1}: ")
            hint = f"{cause.hint} A column that is no score needs another name."
            raise DatasetError(f"{where}{cause.message}", line=line, hint=hint) from None
    warnings = (f"Columns not read: {', '.join(unread)}.",) if unread else ()
    return ResultFile("table", tuple(rows), (), warnings)


def header(source: Source) -> list[str]:
    """The column names of a CSV file; empty for anything else."""
    import csv

    line = source.data.split(b"\n", 1)[0].decode("utf-8", "replace")
    return next(csv.reader([line], delimiter=_delimiter(line)), [])


def csv_records(source: Source) -> tuple[list[dict[str, Any]], list[int]]:
    """The rows of a CSV file and the lines they end on; empty cells are absent. Cells are text, whatever they start
    with.

    Raises:
        DatasetError: with the line of a row that does not fit the header.
    """
    import csv

    text = decode(source.data, file=source.path, error=DatasetError)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=_delimiter(text.split("\n", 1)[0]), strict=True
    )
    usual_limit = csv.field_size_limit(10_000_000)
    try:
        names = next(reader, [])
        twice = next((name for name in names if name and names.count(name) > 1), None)
        if twice is not None:
            raise source.error(
                f"two columns are called {twice!r}", line=1, hint="Which one counts? Rename one."
            )
        records, lines = [], []
        for cells in reader:
            if cells and len(cells) != len(names):
                message = f"{counted(len(cells), 'cell')} under {counted(len(names), 'column')}"
                raise source.error(message, line=reader.line_num, hint="Is the file complete?")
            if any("\0" in cell for cell in cells):
                hint = "Is the file complete, and UTF-8?"
                raise source.error("a cell holds a NUL character", line=reader.line_num, hint=hint)
            if cells:
                records.append({name: cell for name, cell in zip(names, cells, strict=True) if cell != ""})
                lines.append(reader.line_num)
        return records, lines
    except csv.Error as cause:
        raise source.error(f"is not CSV: {cause}", line=reader.line_num) from None
    finally:
        csv.field_size_limit(usual_limit)


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _jsonl(source: Source) -> tuple[list[dict[str, Any]], list[int]]:
    records, lines = [], []
    for line, raw in enumerate(source.data.split(b"\n"), 1):
        if raw.isspace() or not raw:
            continue
        record = source.decoded(raw, line)
        if not isinstance(record, dict):
            raise source.error("this is not a JSON object", line=line, hint="One object a line.")
        records.append(record)
        lines.append(line)
    return records, lines


def _fields(columns: list[str]) -> dict[str, str]:
    """Which column holds which field."""
    lower = {name.lower(): name for name in reversed(columns)}
    found: dict[str, str] = {}
    for field, names in ALIASES.items():
        name = next((lower[name] for name in names if name in lower), None)
        if name is not None:
            found[field] = name
    return found


def _score_name(column: str) -> str | None:
    lower = column.lower()
    if lower in SCORES:
        return "score" if lower == "score" else column
    for prefix in ("score/", "score.", "score_", "scores."):
        if lower.startswith(prefix):
            return column[len(prefix) :]
    return column[: -len("_score")] if lower.endswith("_score") else None


def _row(record: dict[str, Any], fields: dict[str, str], columns: dict[str, str | None]) -> ResultRow:
    def of(field: str) -> Any:
        return record.get(fields[field]) if field in fields else None

    scores = {name: score_of(name, record.get(column)) for column, name in columns.items() if name}
    if isinstance(record.get("scores"), dict):
        scores |= {str(name): score_of(str(name), item) for name, item in record["scores"].items()}
    failure = of("failure")
    milliseconds = number_of(of("latency_ms"))
    case_id, repeat = of("case_id"), of("repeat")
    return ResultRow(
        case_id=id_of(of("input")) if case_id in (None, "") else str(case_id),
        input=of("input"),
        output=of("output"),
        expected=of("expected"),
        scores={name: value for name, value in scores.items() if value is not None},
        failure=str(failure) if failure and not is_missing(failure) else None,
        latency_s=number_of(of("latency_s")) if milliseconds is None else milliseconds / 1000,
        cost_usd=number_of(of("cost_usd")),
        group=None if of("group") is None else str(of("group")),
        repeat=int(number_of(repeat) or 0),
        tags=_tags(of("tags")),
    )


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(tag.strip() for tag in value.replace(";", ",").split(",") if tag.strip())
    return tuple(str(tag) for tag in value) if isinstance(value, list) else ()
