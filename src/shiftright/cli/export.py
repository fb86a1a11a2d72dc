"""``shiftright export``: every span as JSON lines, or as Parquet. Streamed: neither side holds more than a batch."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from shiftright.cli import _output
from shiftright.cli._options import OfFeature
from shiftright.cli.traces import Since, filter_of
from shiftright.errors import StoreError, UsageError

if TYPE_CHECKING:
    from shiftright.core.trace import SpanRow

_TYPES = {int: "BIGINT", float | None: "DOUBLE"}


def export(
    jsonl: Annotated[
        Path | None, typer.Option("--jsonl", metavar="FILE", help="Write JSON lines; - is stdout.")
    ] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", metavar="FILE", help="Write Parquet.")] = None,
    feature: OfFeature = None,
    since: Since = None,
) -> int:
    """Export spans to a file. A running server goes on serving meanwhile."""
    if (jsonl is None) == (parquet is None):
        raise UsageError(
            "one of --jsonl and --parquet is needed", hint="shiftright export --jsonl spans.jsonl"
        )
    from shiftright.app import App
    from shiftright.cli._telemetry import traces_of

    where = filter_of(feature, since)
    with App.here() as app, traces_of(app.settings) as telemetry:
        batches = telemetry.spans(where)
        if parquet is not None:
            count = _parquet(batches, parquet)
        elif str(jsonl) == "-":
            count = _lines(batches, sys.stdout.buffer)
        else:
            assert jsonl is not None
            count = _file(batches, jsonl)
    _output.tell(f"{count:,} spans exported")
    return _output.PASS


def _file(batches: Iterator[Sequence[SpanRow]], file: Path) -> int:
    """Complete under its name, or not there: half an export must not pass for one."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        with partial.open("wb") as stream:
            count = _lines(batches, stream)
        partial.replace(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def _lines(batches: Iterator[Sequence[SpanRow]], stream: BinaryIO) -> int:
    import msgspec

    encoder, count = msgspec.json.Encoder(), 0
    for spans in batches:
        stream.write(encoder.encode_lines([msgspec.structs.asdict(span) for span in spans]))
        count += len(spans)
    stream.flush()
    return count


def _parquet(batches: Iterator[Sequence[SpanRow]], file: Path) -> int:
    import duckdb
    import msgspec

    from shiftright.core.trace import SpanRow

    kinds = {field.name: _TYPES.get(field.type, "VARCHAR") for field in msgspec.structs.fields(SpanRow)}
    kinds["attributes"] = "JSON"
    with TemporaryDirectory(dir=file.parent if file.parent.is_dir() else None) as folder:
        lines, done = Path(folder) / "spans.jsonl", Path(folder) / "spans.parquet"
        count = _file(batches, lines)
        try:
            with duckdb.connect() as database:
                # a thread holds twice the longest line
                database.execute("SET threads = 1")
                database.execute("SET memory_limit = '512MB'")
                database.execute(
                    "COPY (SELECT * FROM read_json($lines, format = 'newline_delimited', columns = $kinds,"
                    " maximum_object_size = 67108864)) TO $done (FORMAT parquet, COMPRESSION zstd)",
                    {"lines": str(lines), "done": str(done), "kinds": kinds},
                )
            done.replace(file)
        except (duckdb.Error, OSError) as error:
            raise StoreError(f"{file} cannot be written: {str(error).splitlines()[0]}") from error
    return count
