"""shiftright's own export of a run's rows."""

from __future__ import annotations

import msgspec

from shiftright.datasets.result_files.rows import ResultFile, ResultRow
from shiftright.datasets.result_files.source import Source

FORMAT = "shiftright.rows/1"


class _Export(msgspec.Struct):
    format: str
    rows: tuple[ResultRow, ...]
    metrics: tuple[str, ...] = ()


class ExportedRun:
    title = "shiftright (exported rows)"
    general = False

    def recognises(self, source: Source) -> bool:
        return isinstance(source.json, dict) and str(source.json.get("format", "")).startswith(
            "shiftright.rows/"
        )

    def read(self, source: Source) -> ResultFile:
        try:
            export = msgspec.convert(source.json, _Export)
        except msgspec.ValidationError as cause:
            raise source.error(f"is an export with a row that does not fit: {cause}") from None
        if export.format != FORMAT:
            raise source.error(f"is of the format {export.format!r}, this version reads {FORMAT!r}")
        return ResultFile("shiftright", export.rows, export.metrics)


def dump(found: ResultFile) -> bytes:
    """The rows as a JSON document that ``read`` gives back unchanged."""
    return msgspec.json.encode(_Export(FORMAT, found.rows, found.metrics))
