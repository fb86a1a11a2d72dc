"""Which tool wrote it? Ask every reader; then bring rows of all tools into one shape."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from shiftright import plugins
from shiftright.core.counting import counted
from shiftright.datasets.result_files.rows import ResultFile, ResultRow
from shiftright.datasets.result_files.source import Reader, Source
from shiftright.errors import DatasetError


def read(path: str | Path) -> ResultFile:
    """The rows of a result file of any known tool.

    Args:
        path: the file; ``path::name`` chooses one provider or prompt where a file holds several.

    Raises:
        DatasetError: unknown, truncated or empty file, or several providers and no choice.
    """
    source = _source(path)
    if not source.data.strip():
        raise source.error("is empty")
    readers = [plugins.load("result_files", name)() for name in sorted(plugins.found("result_files"))]
    reader = next((r for r in sorted(readers, key=lambda r: r.general) if r.recognises(source)), None)
    if reader is None:
        raise _foreign(source, readers)
    try:
        found = reader.read(source)
    except DatasetError as cause:
        if cause.file is not None:
            raise
        raise source.error(cause.message, line=cause.line, hint=cause.hint) from None
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as cause:
        # Foreign documents may have any shape; a reader looks for its tool's and need not check every level.
        message = f"looks like {reader.title}, but a row has another shape ({type(cause).__name__}: {cause})"
        raise source.error(message) from cause
    if not found.rows:
        raise source.error(f"is a file of {reader.title} without results")
    return finished(found)


def finished(found: ResultFile) -> ResultFile:
    """The file with repeats counted, metrics listed, and exact match where nothing was scored."""
    rows = list(found.rows)
    warnings = list(found.warnings)
    seen = Counter((row.case_id, row.repeat) for row in rows)
    if max(seen.values()) > 1:
        rows = _counted(rows)
        several = len({case_id for (case_id, _), times in seen.items() if times > 1})
        warnings.append(
            f"{counted(several, 'case id')} with more than one row: read as repeats, in file order."
        )
    if not any(row.scores for row in rows) and any(row.expected is not None for row in rows):
        rows = [_exact(row) for row in rows]
        warnings.append("The file has no scores: outputs are compared with what is expected (exact match).")
    metrics = tuple(dict.fromkeys(name for row in rows for name in row.scores))
    return ResultFile(found.tool, tuple(rows), metrics, tuple(warnings))


def _source(path: str | Path) -> Source:
    file, choice = Path(path), None
    if not file.exists() and "::" in str(path):
        name, choice = str(path).split("::", 1)
        file = Path(name)
    return Source(file, choice)


def _foreign(source: Source, readers: list[Reader]) -> DatasetError:
    known = "; ".join(sorted(reader.title for reader in readers))
    return source.error(f"{_what(source)}; no known tool writes that", hint=f"Read are: {known}.")


def _what(source: Source) -> str:
    document = source.json
    if isinstance(document, dict):
        return f"is a JSON object with the keys {', '.join(map(repr, list(document)[:6]))}"
    if isinstance(document, list):
        return f"is a JSON list of {len(document)} values"
    return f"is a {source.suffix} file" if source.suffix else "is a file without an ending"


def _counted(rows: list[ResultRow]) -> list[ResultRow]:
    times: Counter[str] = Counter()
    numbered = []
    for row in rows:
        numbered.append(msgspec.structs.replace(row, repeat=times[row.case_id]))
        times[row.case_id] += 1
    return numbered


def _exact(row: ResultRow) -> ResultRow:
    if row.failure is not None or row.expected is None:
        return row
    return msgspec.structs.replace(row, scores={"exact": float(_same(row.output, row.expected))})


def _same(output: Any, expected: Any) -> bool:
    """CSV cells are text where JSON has numbers, so text decides when the types differ."""
    if type(output) is type(expected) and not isinstance(output, str):
        return bool(output == expected)
    return str(output).strip() == str(expected).strip()
