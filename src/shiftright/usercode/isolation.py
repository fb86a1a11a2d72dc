"""Imports the module behind ``module:function`` without putting it, or what stands beside it, in everyone's way.

Two features may both have a ``feature.py`` and a ``models.py``, and a baseline is often the same folder at an older
commit. So each folder is a package of its own in ``sys.modules``, under a made-up name, and ``import models`` inside
it means the neighbour, also when the line runs only during a call. See docs/decisions/isolated-imports.md.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import sys
import sysconfig
import traceback
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, ClassVar

from shiftright.errors import Error, MissingDependency, SpecError
from shiftright.usercode import search

_PREFIX = "_shiftright_"


def load_object(reference: str, root: Path, *, file: Path | None = None, line: int | None = None) -> Any:
    """The object behind ``module:name`` (``name`` may be dotted), where ``module`` stands in ``root``, is importable
    from there, or is installed.

    Args:
        root: folder of the contract that names it.
        file, line: where it is named, for errors.

    Raises:
        SpecError: no such module or name; the module cannot be parsed, or fails while it is imported.
        MissingDependency: it is of a known package that is not installed.
    """
    module_name, _, path = reference.partition(":")
    module = load_module(module_name, root.resolve(), file=file, line=line)
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            source = getattr(module, "__file__", None) or module_name
            raise SpecError(
                f"{reference}: {source} has no {part!r}",
                file=file,
                line=line,
                hint=_nearest(part, vars(found) if hasattr(found, "__dict__") else {}),
            )
        found = getattr(found, part)
    return found


def load_module(name: str, root: Path, *, file: Path | None = None, line: int | None = None) -> ModuleType:
    """The module ``name`` as code in ``root`` would import it; fresh when a file of it changed since."""
    place, qualified = _locate(name, root)
    for folder in search.chain(root if place is None else place):
        _Space.of(folder).drop_if_changed()
    importlib.invalidate_caches()
    full = qualified if place is None else f"{_Space.of(place).package}.{qualified}"
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as cause:
        missing = _public(cause.name or "")
        if missing == name or name.startswith(f"{missing}."):
            raise search.not_found(name, root, file=file, line=line) from None
        raise _broken(cause, name, root) from cause
    except Error:
        raise
    except (Exception, SystemExit) as cause:
        raise _broken(cause, name, root) from cause


def _locate(name: str, root: Path) -> tuple[Path | None, str]:
    """The folder whose package the module belongs to (None: installed) and its name there."""
    if search.module_files(root, name):
        place = search.import_root(root)
        return place, ".".join((*root.relative_to(place).parts, name))
    return search.home(name.partition(".")[0], root), name


def _broken(cause: BaseException, name: str, root: Path) -> SpecError | MissingDependency:
    message = _public(f"{type(cause).__name__}: {cause}")
    if isinstance(cause, SyntaxError) and cause.filename:
        return SpecError(f"{name} cannot be imported: {message}", file=cause.filename, line=cause.lineno)
    frames = [f for f in traceback.extract_tb(cause.__traceback__) if is_user_file(f.filename)]
    where: dict[str, Any] = (
        {"file": frames[-1].filename, "line": frames[-1].lineno} if frames else {"file": root}
    )
    if isinstance(cause, ModuleNotFoundError):
        return MissingDependency(
            f"{name} imports {_public(cause.name or '')!r}, which is not installed",
            **where,
            hint="Install it in the environment that runs shiftright, or put the module beside the spec.",
        )
    return SpecError(f"{name} cannot be imported: {message}", **where)


def is_user_file(filename: str) -> bool:
    """Whether a traceback's file is the user's own: not Python's, not an installed package's, not ours."""
    return not (filename.startswith(("<", *_LIBRARIES)) or "site-packages" in filename)


_LIBRARIES = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"))


def _nearest(name: str, known: Mapping[str, Any]) -> str | None:
    import difflib

    near = difflib.get_close_matches(name, [key for key in known if not key.startswith("__")], n=1)
    return f"Did you mean {near[0]!r}?" if near else None


def _public(text: str) -> str:
    """A name or message with the made-up package names taken out."""
    for package in _Space.all:
        text = text.replace(f"{package}.", "")
    return text


class _Space:
    """One folder's modules: a package of a made-up name, and the ``__import__`` of the code in it."""

    all: ClassVar[dict[str, _Space]] = {}

    def __init__(self, folder: Path, package: str) -> None:
        self.folder = folder
        self.package = package
        self.stamps: dict[Path, tuple[int, int]] = {}
        self.builtins = {**vars(builtins), "__import__": self.import_}
        self.homes: dict[str, Path | None] = {}
        module = ModuleType(package, f"Code in {folder}")
        module.__path__ = [str(folder)]
        sys.modules[package] = module

    @classmethod
    def of(cls, folder: Path) -> _Space:
        package = _PREFIX + hashlib.blake2b(str(folder).encode(), digest_size=6).hexdigest()
        if package not in cls.all:
            cls.all[package] = cls(folder, package)
            if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
                sys.meta_path.insert(0, _Finder())
        return cls.all[package]

    def import_(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        place = None if level else self.home(top)
        if place is None:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        package = _Space.of(place).package
        if fromlist:
            return builtins.__import__(f"{package}.{name}", globals, locals, fromlist, 0)
        importlib.import_module(f"{package}.{name}")
        return sys.modules[f"{package}.{top}"]

    def home(self, top: str) -> Path | None:
        if top not in self.homes:
            self.homes[top] = search.home(top, self.folder)
        return self.homes[top]

    def drop_if_changed(self) -> None:
        """Forget the modules when a file of theirs is not what was imported: never measure code that is gone."""
        self.homes.clear()
        if all(_stamp(path) == stamp for path, stamp in self.stamps.items()):
            return
        self.stamps.clear()
        for name in [name for name in sys.modules if name.startswith(f"{self.package}.")]:
            del sys.modules[name]


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        space = _Space.all.get(fullname.partition(".")[0])
        if space is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader) and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, space)
            spec.cached = None
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, space: _Space) -> None:
        super().__init__(fullname, path)
        self.space = space

    def get_code(self, fullname: str) -> CodeType:
        # Python's own byte code cache is keyed by whole seconds and size: an edit within a second would not be seen.
        path = self.get_filename(fullname)
        self.space.stamps[Path(path)] = _stamp(Path(path))
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self.space.builtins
        super().exec_module(module)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        info = path.stat()
    except FileNotFoundError:
        return (0, -1)
    return (info.st_mtime_ns, info.st_size)
