"""Which files a piece of user code consists of, read from the source without running it, and their digest."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from shiftright.core.case import digest_of
from shiftright.usercode import search
from shiftright.usercode.writing import written_only

_WHOLE = 64 * 1024 * 1024
_END = 1024 * 1024


class Sources(NamedTuple):
    """``modules``: the module and every user module it imports, directly or not, also inside functions.
    ``named``: other files in the contract's folder that a string in them names (prompts, data), unless all that the
    code does with them is to write them."""

    modules: frozenset[Path]
    named: frozenset[Path]


class _Reading(msgspec.Struct, frozen=True):
    """``strings`` may name files; those in ``written`` only as files to write, through these names. ``mentions`` are
    names of other modules it uses."""

    imports: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    strings: tuple[str, ...] = ()
    written: dict[str, set[str]] = {}
    mentions: frozenset[str] = frozenset()


def trace(module: str, root: Path) -> Sources:
    """The sources of ``module``, looked for like the importer does; empty for an installed module."""
    root = root.resolve()
    todo = search.module_files(root, module)
    if not todo and (place := search.home(module.partition(".")[0], root)) is not None:
        todo = search.module_files(place, module)
    readings: dict[Path, _Reading] = {}
    while todo:
        path = todo.pop()
        if path not in readings:
            readings[path] = _read(path)
            todo += _imported(path, readings[path])
    found = (root / text for text in _read_texts(readings.values()))
    named = {file for file in found if file.suffix not in _WRITTEN and file.is_file()}
    return Sources(frozenset(readings), frozenset(named - readings.keys()))


def _read_texts(readings: Collection[_Reading]) -> Iterator[str]:
    """Texts that may name files the code reads."""
    mentioned = {name for reading in readings for name in reading.mentions}
    for reading in readings:
        for text in reading.strings:
            names = reading.written.get(text)
            if names is None or names & mentioned or (names and "*" in mentioned):
                yield text


def digest_files(files: Iterable[Path], root: Path) -> str:
    """Digest over (path relative to ``root``, content) of the files; independent of where the project lies."""
    return digest_placed(placed(files, root))


def digest_placed(files: Mapping[str, Path]) -> str:
    """The same of files whose paths are given, wherever they lie."""
    return digest_of(sorted([name, content_digest(path)] for name, path in files.items()))


def placed(files: Iterable[Path], root: Path) -> dict[str, Path]:
    """Files by their path relative to ``root``."""
    root = root.resolve()
    return {_relative(path, root): path for path in files}


def content_digest(path: Path) -> str:
    """BLAKE2b of a file, remembered while its size and time stay; of size, first and last MiB above 64 MiB."""
    info = path.stat()
    key = (info.st_mtime_ns, info.st_size)
    known = _digests.get(path)
    if known is None or known[0] != key:
        known = _digests[path] = (key, _hash(path, info.st_size))
    return known[1]


# What code writes rather than reads: a feature is not another one because it has logged a line.
_WRITTEN = frozenset({".log", ".db", ".sqlite", ".sqlite3", ".lock", ".pid", ".tmp"})

_digests: dict[Path, tuple[tuple[int, int], str]] = {}
_readings: dict[str, _Reading] = {}


def _hash(path: Path, size: int) -> str:
    hasher = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        if size <= _WHOLE:
            data = file.read()
            hasher.update(_meaning(data) if path.suffix == ".py" else data)
        else:
            hasher.update(f"{size}:".encode() + file.read(_END))
            file.seek(-_END, 2)
            hasher.update(file.read())
    return hasher.hexdigest()


def _meaning(source: bytes) -> bytes:
    """Python without comments and layout: a remark is no other feature, and no second chance at a decision.

    Docstrings stay in: a tool's or a model's is part of the prompt (docs/decisions/same-code.md).
    """
    try:
        return ast.dump(ast.parse(source)).encode("utf-8", "surrogatepass")
    except (SyntaxError, ValueError, RecursionError):
        return source


def _relative(path: Path, root: Path) -> str:
    # walk_up would do it from Python 3.12 on.
    for up, base in enumerate((root, *root.parents)):
        if path.is_relative_to(base):
            return "../" * up + path.relative_to(base).as_posix()
    return path.as_posix()


def _read(path: Path) -> _Reading:
    key = content_digest(path)
    if key not in _readings:
        try:
            tree = ast.parse(path.read_bytes(), filename=str(path))
        except (SyntaxError, ValueError):
            # The file's content is part of the digest all the same; importing it says what is wrong.
            return _Reading()
        _readings[key] = _Reading(
            tuple(_imports(tree)), tuple(_file_names(tree)), written_only(tree), frozenset(_mentions(tree))
        )
    return _readings[key]


def _imports(tree: ast.AST) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level, tuple(alias.name for alias in node.names)


def _mentions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.attr


def _file_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if (
                0 < len(text) < 200
                and "." in text
                and text.isprintable()
                and not text.startswith(("/", ".."))
            ):
                yield text


def _imported(path: Path, reading: _Reading) -> Iterator[Path]:
    for name, level, names in reading.imports:
        if level:
            place: Path | None = path.parents[level - 1]
        else:
            folder = search.import_root(path.parent)
            place = search.home(name.partition(".")[0], folder)
        if place is None:
            continue
        if name:
            yield from search.module_files(place, name)
        elif (place / "__init__.py").is_file():
            yield place / "__init__.py"
        for each in names:
            yield from search.module_files(place, f"{name}.{each}" if name else each)
