"""A file as the readers see it: its bytes, and its JSON where it is JSON."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import msgspec

from shiftright.datasets._reading import read_bytes
from shiftright.datasets.result_files.rows import ResultFile
from shiftright.errors import DatasetError


class Source:
    """One result file. ``choice`` is what follows ``::`` in ``path::provider``."""

    def __init__(self, path: Path, choice: str | None = None) -> None:
        self.path = path
        self.choice = choice
        self.data = read_bytes(path)

    @property
    def suffix(self) -> str:
        """The lower-case ending, without ``.gz``."""
        path = self.path.with_suffix("") if self.path.suffix == ".gz" else self.path
        return path.suffix.lower()

    @cached_property
    def json(self) -> Any:
        """The one JSON document, or None when the file is not JSON.

        Raises:
            DatasetError: when it begins like JSON and then breaks off.
        """
        start = self.data[:64].lstrip()[:1]
        if start not in (b"{", b"[") or self.suffix in (".jsonl", ".ndjson", ".csv", ".tsv"):
            return None
        return self.decoded(self.data)

    def decoded(self, data: bytes, line: int = 1) -> Any:
        """The JSON of ``data``, which starts at ``line`` of the file. NaN, which Python's tools write, is accepted.

        Raises:
            DatasetError: with the line where it breaks off.
        """
        try:
            return msgspec.json.decode(data)
        except RecursionError:
            raise self.error("is nested too deeply", line=line) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._lenient(data, line)

    def _lenient(self, data: bytes, line: int) -> Any:
        try:
            return json.loads(data)
        except RecursionError:
            raise self.error("is nested too deeply", line=line) from None
        except json.JSONDecodeError as cause:
            what = "breaks off" if cause.pos >= len(cause.doc.rstrip()) else "is broken"
            raise self.error(f"is JSON that {what}: {cause.msg}", line=line + cause.lineno - 1) from None
        except UnicodeDecodeError:
            raise self.error("is not UTF-8 text", line=line) from None

    def error(self, message: str, *, line: int | None = None, hint: str | None = None) -> DatasetError:
        """A DatasetError about this file."""
        return DatasetError(
            message, file=self.path, line=line, hint=hint or "Write the file again with its tool."
        )


class Reader(Protocol):
    """One tool's format; registered as an entry point of ``shiftright.result_files``.

    ``title`` names the format in errors. A ``general`` reader is asked after all others.
    """

    title: str
    general: bool

    def recognises(self, source: Source) -> bool: ...

    def read(self, source: Source) -> ResultFile: ...
