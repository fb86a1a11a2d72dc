"""Which files a piece of user code consists of, read from the source without running it, and their digest."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
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
    code does with them is to write them. ``closed``: nothing in them could reach another module than these, but for
    one whose name is among ``words``, those of all their strings (docs/decisions/same-code.md)."""

    modules: frozenset[Path]
    named: frozenset[Path]
    closed: bool = False
    words: frozenset[str] = frozenset()

    def may_use(self, path: Path) -> bool:
        """Could the code use this code file of the contract's folder?"""
        if path in self.modules or path in self.named:
            return True
        if is_empty(path):
            return False
        return not self.closed or path.suffix != ".py" or path.stem in self.words


class _Reading(msgspec.Struct, frozen=True):
    """``strings`` may name files; those in ``written`` only as files to write, through these names. ``mentions`` are
    names of other modules it uses. ``by_name``: it may reach a file by a name that is not written in it."""

    imports: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    strings: tuple[str, ...] = ()
    written: dict[str, set[str]] = {}
    mentions: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    by_name: bool = True


def trace(module: str, root: Path) -> Sources:
    """The sources of ``module``, looked for like the importer does; empty for an installed module."""
    root = root.resolve()
    todo = search.module_files(root, module)
    if not todo and (place := search.home(module.partition(".")[0], root)) is not None:
        todo = search.module_files(place, module)
    readings: dict[Path, _Reading] = {}
    closed = bool(todo)
    while todo:
        path = todo.pop()
        if path not in readings:
            readings[path] = _read(path)
            todo += _imported(path, readings[path])
            closed = closed and not readings[path].by_name and not _foreign(path, readings[path])
    found = (root / text for text in _read_texts(readings.values()))
    named = {file for file in found if file.suffix not in _WRITTEN and file.is_file()}
    words = frozenset(word for reading in readings.values() for word in reading.words)
    return Sources(frozenset(readings), frozenset(named - readings.keys()), closed, words)


def is_empty(path: Path) -> bool:
    """Is there no code in it, nor any text?"""
    return path.stat().st_size < _WHOLE and content_digest(path) in _NOTHING


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

_WORD = re.compile(r"\w+")
_BY_NAME = frozenset(
    """__import__ __builtins__ __file__ __path__ __loader__ __spec__ exec eval compile globals locals system popen
    startfile execl execle execlp execlpe execv execve execvp execvpe spawnl spawnle spawnlp spawnlpe spawnv spawnve
    spawnvp spawnvpe posix_spawn posix_spawnp listdir scandir walk fwalk iterdir glob rglob cwd getcwd modules meta_path
    path_hooks argv orig_argv create_subprocess_exec create_subprocess_shell subprocess_exec subprocess_shell
    fileConfig dictConfig""".split()  # noqa: SIM905 - readable
)
# modules of the standard library that find others by name, or run them
_FINDERS = frozenset(
    """builtins code codeop cProfile ctypes doctest glob imp importlib inspect linecache marshal modulefinder
    multiprocessing pdb pickle pkgutil profile pty pydoc runpy shelve site subprocess trace unittest zipapp
    zipimport""".split()  # noqa: SIM905 - readable
)

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


_NOTHING = frozenset(hashlib.blake2b(data, digest_size=16).hexdigest() for data in (b"", _meaning(b"")))


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
        words = frozenset(word for text in _texts(tree) for word in _WORD.findall(text))
        _readings[key] = _Reading(
            tuple(_imports(tree)),
            tuple(_file_names(tree)),
            written_only(tree),
            frozenset(_mentions(tree)),
            words,
            _by_name(tree),
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


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _by_name(tree: ast.AST) -> bool:
    """Does it use what imports, runs or lists files by a name that need not be written in it?"""
    names = {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    }
    names |= {name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in _names(node)}
    if any(
        isinstance(node, ast.Attribute)
        and node.attr == "path"
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
        for node in ast.walk(tree)
    ):
        return True
    return bool(names & _BY_NAME) or any(".py" in text for text in _texts(tree))


def _names(node: ast.ImportFrom) -> Iterator[str]:
    return (alias.name for alias in node.names)


def _foreign(path: Path, reading: _Reading) -> bool:
    """Does it import a library (what that imports by name cannot be seen), or a module that finds others by name?"""
    for name, level, _ in reading.imports:
        top = name.partition(".")[0]
        if level or search.home(top, search.import_root(path.parent)) is not None or top == "shiftright":
            continue
        if top not in sys.stdlib_module_names or top in _FINDERS:
            return True
    return False


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
