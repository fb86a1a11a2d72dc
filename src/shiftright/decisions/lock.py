"""``shiftright.lock``: the committed memory of a fresh CI runner. JSON Lines, one thing a line, so that git merges it.

{"kind": "lock", "version": 1}
{"kind": "stable", "feature": …, "variant": …, "digest": …}                      what the baseline is
{"kind": "score", "feature": …, "baseline": …, "case": …, "digest": …, "scores": …}  one baseline case
{"kind": "decision", "row": …, "consumed": […]}                                      one attempt of the ledger
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import msgspec

from shiftright.decisions.ledger import Book
from shiftright.decisions.units import Values
from shiftright.errors import StoreError
from shiftright.store.rows import ConsumedRow, DecisionRow

VERSION = 1
Key = tuple[str, str, str]  # feature, baseline identity, case id


class BaselineScore(msgspec.Struct, frozen=True, tag="score", tag_field="kind"):
    """What the baseline scored on one case. ``baseline`` digests its code, settings and scorers."""

    feature: str
    baseline: str
    case: str
    digest: str
    scores: dict[str, Values]


class Stable(msgspec.Struct, frozen=True, tag="stable", tag_field="kind"):
    """What the baseline is: ``digest`` is the one its scores are kept under."""

    feature: str
    variant: str
    digest: str


class LockedDecision(msgspec.Struct, frozen=True, tag="decision", tag_field="kind"):
    row: DecisionRow
    consumed: tuple[ConsumedRow, ...]


class Header(msgspec.Struct, frozen=True, tag="lock", tag_field="kind"):
    version: int = VERSION


Line = Header | Stable | BaselineScore | LockedDecision
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


class Lock(msgspec.Struct):
    """The file's content. ``merge`` takes entries in, ``write`` replaces the file atomically."""

    stable: dict[str, Stable] = {}
    scores: dict[Key, BaselineScore] = {}
    decisions: dict[str, LockedDecision] = {}

    @classmethod
    def read(cls, path: Path) -> Lock:
        """An absent file is an empty lock.

        Raises:
            StoreError: with file and line, when a line cannot be read.
        """
        return cls.of(path.read_bytes() if path.exists() else b"", path)

    @classmethod
    def of(cls, data: bytes, path: Path) -> Lock:
        """The content of a file, or of an earlier version of it; ``path`` is for errors.

        Raises:
            StoreError: as ``read``.
        """
        lock = cls()
        for number, line in enumerate(data.splitlines(), 1):
            if line.strip():
                lock.merge([_line(path, number, line)])
        return lock

    def merge(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if isinstance(line, Stable):
                self.stable[line.feature] = line
            elif isinstance(line, BaselineScore):
                self.scores[(line.feature, line.baseline, line.case)] = line
            elif isinstance(line, LockedDecision):
                self.decisions[line.row.id] = _further(self.decisions.get(line.row.id), line)

    @property
    def book(self) -> Book:
        return Book(tuple((entry.row, entry.consumed) for entry in self.decisions.values()))

    def baseline_scores(self, feature: str, baseline: str) -> dict[str, BaselineScore]:
        """By case id."""
        return {
            key[2]: score for key, score in self.scores.items() if key[0] == feature and key[1] == baseline
        }

    def write(self, path: Path) -> None:
        """Take in what another process wrote meanwhile, drop scores of baselines nobody points to, replace the file."""
        with _alone(path.parent):
            self._write(path)

    def _write(self, path: Path) -> None:
        merged = Lock.read(path)
        merged.merge([*self.stable.values(), *self.scores.values(), *self.decisions.values()])
        current = {(stable.feature, stable.digest) for stable in merged.stable.values()}
        kept = [score for key, score in sorted(merged.scores.items()) if (key[0], key[1]) in current]
        decisions = sorted(merged.decisions.values(), key=lambda entry: (entry.row.feature, entry.row.id))
        stable = sorted(merged.stable.values(), key=lambda entry: entry.feature)
        _replace(path, chain([Header()], stable, kept, decisions))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process of this machine at a time, by a lock on the folder itself; without fcntl (Windows) the last wins."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _further(old: LockedDecision | None, new: LockedDecision) -> LockedDecision:
    """The entry that has seen more: a decided one, else the longer."""
    if old is None or (new.row.decided, len(new.consumed)) >= (old.row.decided, len(old.consumed)):
        return new
    return old


def _line(path: Path, number: int, line: bytes) -> Line:
    if line.startswith((b"<<<<<<<", b"=======", b">>>>>>>")):
        raise StoreError(
            "a merge conflict is left in the file",
            file=path,
            line=number,
            hint="Keep the lines of both sides.",
        )
    try:
        entry = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(
            f"not a line of a lock file: {error}",
            file=path,
            line=number,
            hint="Restore the file from git, or delete it to start the ledger anew (every decision is then undecided).",
        ) from error
    if isinstance(entry, Header) and entry.version > VERSION:
        raise StoreError(
            f"written by a newer version (format {entry.version}, this one reads {VERSION})",
            file=path,
            line=number,
            hint="Upgrade: pip install -U shiftright.",
        )
    return entry


def _replace(path: Path, lines: Iterable[Line]) -> None:
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                for line in lines:
                    file.write(msgspec.json.encode(line))  # a decision has megabytes: no copy of it
                    file.write(b"\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(
            f"cannot write: {error.strerror}", file=path, hint="Free space or check permissions."
        ) from error
