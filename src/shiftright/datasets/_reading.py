"""Files as rows with the line each starts at. Cells and values are data; nothing in them is ever executed."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from shiftright.core.counting import counted
from shiftright.core.yaml_text import Map, Seq, decode, parse
from shiftright.errors import DatasetError

MAX_CASE_BYTES = 10_000_000
PIECE_BYTES = 16_000_000
MAX_FILE_BYTES = 1_000_000_000
COLUMNS = ("id", "input", "messages", "expected", "tags", "group", "source")

Row = tuple[int, dict[str, Any]]
"""The line where a row starts (from 1), and its keys."""


def read_bytes(file: Path) -> bytes:
    """The file's bytes, unzipped.

    Raises:
        DatasetError: when it is missing, over 1 GB (unzipped too), or broken gzip.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            # in pieces: read(n) would reserve the whole limit at once
            pieces = [stream.read(PIECE_BYTES)]
            while pieces[-1] and sum(map(len, pieces)) <= MAX_FILE_BYTES:
                pieces.append(stream.read(PIECE_BYTES))
            data = b"".join(pieces)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DatasetError("is not a complete gzip file", file=file, hint="Zip it again.") from None
    except OSError as cause:
        hint = "Name a .jsonl, .csv or .yaml file."
        raise DatasetError(f"cannot be read: {cause.strerror}", file=file, hint=hint) from None
    if len(data) > MAX_FILE_BYTES:
        raise DatasetError(f"is larger than {MAX_FILE_BYTES:,} bytes", file=file, hint="Split it.")
    return data.removeprefix(b"\xef\xbb\xbf")


def rows(data: bytes, file: Path) -> Iterator[Row]:
    """The rows of a file's bytes, by its suffix.

    Raises:
        DatasetError: for an unknown suffix, and with the line for what does not parse.
    """
    suffix = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    reader = _READERS.get(suffix.lower())
    if reader is None:
        hint = f"Known: {', '.join(_READERS)}, each also with .gz."
        raise DatasetError(f"the ending {suffix!r} is no format of cases", file=file, hint=hint)
    return reader(data, file)


def _jsonl(data: bytes, file: Path) -> Iterator[Row]:
    read = msgspec.json.Decoder().decode
    for line, raw in enumerate(data.split(b"\n"), 1):
        if len(raw) > MAX_CASE_BYTES:
            raise too_large(file, line)
        if not raw or raw.isspace():
            continue
        try:
            row = read(raw)
        except RecursionError:
            raise DatasetError("nested too deeply", file=file, line=line, hint="Flatten the case.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as cause:
            decode(data, file=file, error=DatasetError)
            raise DatasetError(
                f"not JSON: {cause}", file=file, line=line, hint="One JSON object a line."
            ) from None
        if type(row) is not dict:
            hint = 'A case is {"input": …, "expected": …}.'
            raise DatasetError("this is not a JSON object", file=file, line=line, hint=hint)
        yield line, row


def _csv(data: bytes, file: Path) -> Iterator[Row]:
    import csv

    text = decode(data, file=file, error=DatasetError)
    header_line = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    usual_limit = csv.field_size_limit(MAX_CASE_BYTES)
    line = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, file)
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield line, _csv_row(header, cells, file, line)
            line = reader.line_num + 1
    except csv.Error as cause:
        if "field larger" in str(cause):
            raise too_large(file, line) from None
        raise DatasetError(f"not CSV: {cause}", file=file, line=line, hint='Put cells in "quotes".') from None
    finally:
        csv.field_size_limit(usual_limit)


def _check_header(header: list[str], file: Path) -> None:
    double = next((name for name in header if header.count(name) > 1), None)
    if double is not None:
        raise DatasetError(f"two columns are called {double!r}", file=file, line=1, hint="Rename one.")
    if header and not any(name in ("input", "messages") or name not in COLUMNS for name in header):
        hint = f"The first line names the columns: {', '.join(COLUMNS)}."
        raise DatasetError("there is no input column", file=file, line=1, hint=hint)


def _csv_row(header: list[str], cells: list[str], file: Path, line: int) -> dict[str, Any]:
    """Columns that are no key of a case make up the input, when there is no input column."""
    if len(cells) != len(header):
        message = f"{counted(len(cells), 'cell')} under {counted(len(header), 'column')}"
        raise DatasetError(message, file=file, line=line, hint='Put cells with commas in "quotes".')
    row: dict[str, Any] = dict(zip(header, cells, strict=True))
    if "input" not in row and "messages" not in row:
        row["input"] = {name: row.pop(name) for name in header if name not in COLUMNS}
    for name in ("id", "group", "source", "expected", "tags", "messages"):
        if row.get(name) == "":
            del row[name]
    if "expected" in row:
        row["expected"] = _structured(row["expected"])
    if "messages" in row:
        row["messages"] = _structured(row["messages"])
    if "tags" in row:
        tags = _structured(row["tags"])
        row["tags"] = (
            [tag.strip() for tag in tags.replace(";", ",").split(",")] if isinstance(tags, str) else tags
        )
    return row


def _structured(cell: str) -> Any:
    """A JSON object or array as data; any other text (numbers, formulas) as the text it is."""
    if cell[:1] not in "[{":
        return cell
    try:
        return msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        return cell


def _yaml(data: bytes, file: Path) -> Iterator[Row]:
    document = parse(decode(data, file=file, error=DatasetError), file=file, error=DatasetError)
    if isinstance(document, Map) and "cases" in document:
        document = document["cases"]
    if document is None:
        return
    if not isinstance(document, Seq):
        raise DatasetError(
            "is not a list of cases", file=file, line=1, hint="Write one - {input: …} per case."
        )
    for row, mark in zip(document, document.marks, strict=True):
        if not isinstance(row, Map):
            hint = "A case is {input: …, expected: …}."
            raise DatasetError("this is not a mapping", file=file, line=mark.line, hint=hint)
        yield mark.line, row


def too_large(file: Path, line: int) -> DatasetError:
    """The error for a case over the limit."""
    hint = "Store large documents beside the cases and name them in the input."
    return DatasetError(f"a case is larger than {MAX_CASE_BYTES:,} bytes", file=file, line=line, hint=hint)


_READERS: dict[str, Callable[[bytes, Path], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _csv,
    ".yaml": _yaml,
    ".yml": _yaml,
}
