"""What ``module:name`` leads to, as far as sources tell: nothing is imported and nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from shiftright.errors import SpecError
from shiftright.usercode import search

# Names and attributes through which code may bind what its text does not show.
_DYNAMIC = frozenset({"globals", "vars", "exec", "setattr", "__dict__", "__getattr__", "__path__", "modules"})
_SOURCELESS = Path()
_Data = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.JoinedStr)
_Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def require(reference: str, root: Path, *, file: Path, line: int | None, feature: bool = False) -> None:
    """Refuse a ``module:name`` (``name`` may be dotted) that importing cannot give.

    Where the source does not tell (C code, star imports, inherited attributes, names made up at run time) it passes,
    and loading it has the last word.

    Args:
        root: folder of the contract that names it.
        file, line: where it is named, for errors.
        feature: it is what a contract runs: a function of one input.

    Raises:
        SpecError: no such module or name; the module cannot be parsed; it cannot be a feature.
        MissingDependency: it is of a known package that is not installed.
    """
    module, _, path = reference.partition(":")
    source = _source(module, root.resolve())
    if source is None:
        raise search.not_found(module, root, file=file, line=line)
    if source is _SOURCELESS:
        return
    try:
        tree = ast.parse(source.read_bytes())
    except SyntaxError as error:
        raise SpecError(
            f"cannot be parsed: {error.msg}", file=source, line=error.lineno, hint="Fix it."
        ) from None
    except ValueError as error:  # a NUL character
        raise SpecError(f"cannot be parsed: {error}", file=source, hint="Fix it.") from None
    names = _bound(tree)
    first, *rest = path.split(".")
    if "*" in names or names & _DYNAMIC or _mentions(tree):
        return
    if first not in names and not search.module_files(source.parent, first):
        _refuse(reference, source, first, names, file, line)
    if feature and not rest and (wrong := _no_feature(tree, first)):
        raise SpecError(
            f"{reference} {wrong[0]}",
            file=source,
            line=wrong[1],
            hint="Name a function that takes its input and, annotated with Context, the context.",
        )
    within = [node for node in ast.walk(tree) if isinstance(node, _Definition) and node.name == first]
    if rest and within and not rest[0].startswith("__"):
        known = _attributes(tree, first, within)
        if known is not None and rest[0] not in known:
            _refuse(reference, source, rest[0], known, file, line)


def _no_feature(tree: ast.Module, name: str) -> tuple[str, int] | None:
    """Why the last statement that binds a name makes no feature of it, and its line; None where that is not plain."""
    bound: ast.stmt | None = None
    for node in tree.body:
        if isinstance(node, _Definition):
            names = {node.name}
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.Delete):
            names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and _changes(part)}
        else:
            names = _bound(ast.Module([node], []))
        bound = node if name in names else bound
    if isinstance(bound, ast.Delete):
        return "is deleted again", bound.lineno
    if isinstance(bound, ast.Assign | ast.AnnAssign) and isinstance(bound.value, _Data):
        simple = all(isinstance(target, ast.Name) for target in _targets(bound))
        return ("is no function", bound.lineno) if simple else None
    if isinstance(bound, ast.FunctionDef | ast.AsyncFunctionDef) and not bound.decorator_list:
        return _one_input(bound)
    return None


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _changes(name: ast.Name) -> bool:
    return not isinstance(name.ctx, ast.Load)


def _one_input(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, int] | None:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    needed = positional[: len(positional) - len(given.defaults)][1:]
    needed += [
        arg for arg, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None
    ]
    if not positional and given.vararg is None:
        return "takes no input", function.lineno
    # an annotated one may be the context, by whatever name that was imported
    surplus = [arg.arg for arg in needed if arg.annotation is None]
    return (f"takes {surplus[0]!r} besides its input", function.lineno) if surplus else None


def _source(module: str, root: Path) -> Path | None:
    """The module's file, ``_SOURCELESS`` where it has none that can be read; None where there is no such module."""
    files = search.module_files(root, module)
    top = module.partition(".")[0]
    if not files and (place := search.home(top, root)) is not None:
        files = search.module_files(place, module)
    if files:
        return files[-1] if _is_module(files[-1], module) else _SOURCELESS
    # of the top package only: looking for a submodule would import its parents
    try:
        found = find_spec(top)
    except (ValueError, ImportError):
        return None
    if found is None:
        return None
    if not found.has_location or found.origin is None or not found.origin.endswith(".py"):
        return _SOURCELESS
    origin = Path(found.origin)
    place = origin.parents[1] if origin.name == "__init__.py" else origin.parent
    files = search.module_files(place, module)
    return files[-1] if files and _is_module(files[-1], module) else _SOURCELESS


def _is_module(file: Path, module: str) -> bool:
    """Whether the file is the module's own; the last package's, where the module is a folder or C code."""
    return module.rpartition(".")[2] in (file.stem, file.parent.name)


def _bound(tree: ast.Module) -> set[str]:
    """Every name a module may bind at its top level, inside of if and try too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, _Definition):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
    return names


def _mentions(tree: ast.Module) -> bool:
    """Whether the module reaches for a way to bind names that its text does not show."""
    return any(
        (isinstance(node, ast.Name) and node.id in _DYNAMIC)
        or (isinstance(node, ast.Attribute) and node.attr in _DYNAMIC)
        for node in ast.walk(tree)
    )


def _attributes(tree: ast.Module, name: str, definitions: Sequence[ast.AST]) -> set[str] | None:
    """Attributes of a function or class; None where a base, a decorator or another binding may give it more."""
    for node in definitions:
        assert isinstance(node, _Definition)
        if node.decorator_list or (isinstance(node, ast.ClassDef) and (node.bases or node.keywords)):
            return None
    if any(_binds(node, name) for node in ast.walk(tree)):
        return None
    return {text for node in [*definitions, tree] for text in _stored(node, whole=node is not tree)}


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.alias):
        return (node.asname or node.name) == name
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name


def _stored(tree: ast.AST, *, whole: bool) -> Iterator[str]:
    """Attributes assigned anywhere; with ``whole``, the names bound in it too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
    if whole and isinstance(tree, ast.ClassDef):
        yield from _bound(ast.Module(tree.body, []))


def _refuse(
    reference: str, source: Path, name: str, known: set[str], file: Path, line: int | None
) -> NoReturn:
    near = get_close_matches(name, known, n=1)
    raise SpecError(
        f"{reference}: {source.name} has no {name!r}",
        file=file,
        line=line,
        hint=f"Did you mean {near[0]!r}?" if near else f"Define it in {source}, or name another.",
    )
