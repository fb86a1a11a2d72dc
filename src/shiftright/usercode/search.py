"""Where the imports of a user's module are looked for."""

from __future__ import annotations

import importlib.util
import sys
from functools import lru_cache
from pathlib import Path

from shiftright.errors import Error, MissingDependency, SpecError
from shiftright.settings import project_root

# What contracts name without having written it: the module to import and what installs it.
PACKAGES = {"pydantic_evals": "pydantic-evals"}


def import_root(folder: Path) -> Path:
    """The nearest folder at or above ``folder`` that is not inside a package: what Python would have on its path."""
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


@lru_cache(maxsize=1024)
def chain(folder: Path) -> tuple[Path, ...]:
    """Folders searched for a module that code in ``folder`` imports: itself, the project's root, the root's src."""
    root = project_root(folder)
    return tuple(dict.fromkeys((folder, root, root / "src")))


def home(top: str, folder: Path) -> Path | None:
    """The folder of the chain that has the top-level module ``top``; None when Python's own path has to say.

    A file beside the code wins over an installed package, as it does for a script; a module of the standard library
    is overruled only from the code's own folder. ``shiftright`` itself is never a user's module: a second copy
    would not share its context variables with the first.
    """
    if top == "shiftright":
        return None
    for place in chain(folder):
        if place != folder and top in sys.stdlib_module_names:
            continue
        if (place / f"{top}.py").is_file() or (place / top / "__init__.py").is_file():
            return place
    for place in chain(folder):
        # A folder without __init__.py is a package only where nothing else has that name.
        if (place / top).is_dir() and any((place / top).glob("*.py")) and not _installed(top):
            return place
    return None


def module_files(place: Path, name: str) -> list[Path]:
    """The files that importing ``name`` from ``place`` runs: each package's ``__init__.py``, then the module.

    Empty when there is no such module.
    """
    files: list[Path] = []
    folder = place
    parts = name.split(".")
    for index, part in enumerate(parts):
        package, module = folder / part / "__init__.py", folder / f"{part}.py"
        if package.is_file():
            files.append(package)
        elif module.is_file():
            return [*files, module] if index == len(parts) - 1 else []
        elif not (folder / part).is_dir():
            return []
        folder = folder / part
    return files


def not_found(name: str, root: Path, *, file: Path | None, line: int | None) -> Error:
    """What to say of a module that is neither beside the contract nor installed."""
    top = name.partition(".")[0]
    if top in PACKAGES:
        return MissingDependency(
            f"{name} needs the package {PACKAGES[top]}, which is not installed",
            file=file,
            line=line,
            hint=f"pip install {PACKAGES[top]}",
        )
    return SpecError(
        f"there is no module {name!r} in {root}",
        file=file,
        line=line,
        hint=f"Write {name.removesuffix('.py')!r}, the module's name without .py."
        if name.endswith(".py")
        else f"Write {root / (name.replace('.', '/') + '.py')}, or correct the name before the colon.",
    )


def _installed(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except ValueError:  # a module without a spec, such as __main__
        return True
