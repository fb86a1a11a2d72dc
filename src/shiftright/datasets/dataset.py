"""A named set of cases, by digest; read from JSONL, CSV or YAML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from shiftright.core.case import Case, digest_of_cases
from shiftright.datasets import sealed
from shiftright.datasets._reading import read_bytes, rows
from shiftright.datasets._rows import cases_of
from shiftright.errors import DatasetError


class Dataset(msgspec.Struct, frozen=True):
    """Cases in file order.

    ``digest`` covers ids and case digests and not their order. ``warnings`` are sentences for the user.
    ``stamp`` is the file's size and modification time when it was read.
    """

    name: str
    path: Path
    cases: tuple[Case, ...]
    digest: str
    warnings: tuple[str, ...] = ()
    stamp: tuple[int, int] = (0, 0)

    @property
    def sealed(self) -> bool:
        """May nothing be written down of what the cases say?"""
        return any(case.sealed for case in self.cases)

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def changed(self) -> bool:
        """Whether the file holds other cases than it did: its stamp first, the cases only when that differs.

        A file that has gone or can no longer be read has changed.
        """
        try:
            return _stamp(self.path) != self.stamp and load(self.path).digest != self.digest
        except (OSError, DatasetError):
            return True


def load(path: str | Path) -> Dataset:
    """The cases of one ``.jsonl``, ``.csv`` or ``.yaml`` file, gzipped (``.gz``), sealed (``.sealed``), or neither.

    Raises:
        CredentialsError: for sealed cases without their key.
        DatasetError: for whatever cannot be a case, with file and line.
    """
    file = Path(path)
    data = read_bytes(file)
    stamp = _stamp(file)
    cases, warnings = (
        cases_of(rows(data, file), file) if file.suffix != sealed.SUFFIX else _sealed(data, file)
    )
    if not cases:
        raise DatasetError("has no cases", file=file, hint='A case is {"input": …, "expected": …}.')
    name = file.name.removesuffix(sealed.SUFFIX).removesuffix(".gz").rsplit(".", 1)[0]
    return Dataset(name, file, tuple(cases), digest_of_cases(cases), tuple(warnings), stamp)


def _sealed(data: bytes, file: Path) -> tuple[list[Case], list[str]]:
    plain = sealed.opened(data, file)
    try:
        cases, warnings = cases_of(rows(plain, file.with_suffix("")), file)
    except DatasetError as error:
        raise DatasetError(
            "a sealed case cannot be read; what it says is not shown",
            file=file,
            line=error.line,
            hint="Check the cases before they are sealed: shiftright seal FILE does.",
        ) from None
    return sealed.veiled(cases), warnings


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
