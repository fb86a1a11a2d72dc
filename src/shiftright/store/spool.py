"""Spans on disk until the owner of the telemetry store takes them: one fsynced file per batch."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shiftright.errors import StoreError

LARGEST_BYTES: Final = 512 * 1024 * 1024
_SUFFIX: Final = ".otlp"
_numbers = itertools.count()


class Spool:
    """A folder of OTLP requests (protobuf). Any process may put; the owner takes, oldest first.

    A batch may be taken twice, when the owner ends between storing it and ``done``: the store knows spans by their
    ids.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, batch: bytes) -> None:
        """On disk when this returns.

        Raises:
            StoreError: when the folder has LARGEST_BYTES already, or cannot be written.
        """
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(_numbers)}"
        partial = self.folder / f"{name}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._size() + len(batch) > LARGEST_BYTES:
                raise StoreError(
                    f"spans that wait for `shiftright serve` fill {LARGEST_BYTES // 2**20} MB already",
                    file=self.folder,
                    hint="Start `shiftright serve`: it takes them in. Or remove the folder to lose them.",
                )
            with partial.open("xb") as file:
                file.write(batch)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self.folder / f"{name}{_SUFFIX}")
            self._sync_folder()
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise StoreError(f"spans cannot be put aside: {error}", file=self.folder) from error

    def waiting(self) -> Iterator[tuple[Path, bytes]]:
        """Batches and the files they are in, oldest first."""
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            try:
                batch = path.read_bytes()
            except FileNotFoundError:
                continue  # another process is the owner by now
            except OSError as error:
                raise StoreError(f"spans put aside cannot be read: {error}", file=path) from error
            yield path, batch

    def done(self, path: Path) -> None:
        """Forget a batch that is stored."""
        path.unlink(missing_ok=True)

    def set_aside(self, path: Path) -> Path:
        """Keep a batch that cannot be read out of the way, under the name returned."""
        return path.rename(path.with_suffix(".broken"))

    def _size(self) -> int:
        return sum(entry.stat().st_size for entry in os.scandir(self.folder) if entry.name.endswith(_SUFFIX))

    def _sync_folder(self) -> None:
        if os.name == "nt":
            return  # a folder cannot be opened there; NTFS keeps its own log
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
