"""What a variant of a feature consists of, as a digest: equal digests, equal behaviour."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shiftright.core.case import digest_of
from shiftright.core.spec import Spec, Variant
from shiftright.features.loading import LoadedFeature, run_of
from shiftright.usercode import sources

_CODE = frozenset(
    {
        ".py",
        ".js",
        ".mjs",
        ".cjs",
        ".ts",
        ".sh",
        ".rb",
        ".go",
        ".rs",
        ".java",
        ".pl",
        ".lua",
        ".php",
        ".jinja",
        ".j2",
    }
)
_FILE_SCHEMES = ("recorded:", "local:")
_LOCK = "shiftright.lock"


def digest(loaded: LoadedFeature) -> str:
    """Identity of the code and configuration behind a loaded feature.

    It covers the variant's settings and run, the content of files the settings name, and the code: the files
    matched by the contract's ``touches``, else the modules the feature imports from the project, files their text
    names, except those they only write, and the code in the contract's folder that they could reach by a name. Not
    cases, the contract itself, or what only other variants name; not the Python or library versions. Independent of
    where the project lies and of the variant's name.
    """
    spec, variant = loaded.spec, loaded.variant
    run = run_of(spec, variant)
    return digest_of(
        run,
        variant.settings,
        sources.digest_files(files(spec, variant, loaded.kind, loaded.module), spec.root),
    )


def files(spec: Spec, variant: Variant, kind: str, module: str | None) -> set[Path]:
    """The files the digest covers."""
    root = spec.root.resolve()
    own = set(_named(variant, variant.root.resolve()))
    if kind == "recorded":
        own |= set(_paths(run_of(spec, variant), variant.root.resolve()))
        return own
    others = {
        path
        for other in spec.variants.values()
        if other.name != variant.name
        for path in _named(other, other.root.resolve())
    }
    apart = _apart(spec)
    if spec.touches:
        code = {path for pattern in spec.touches for path in root.glob(pattern) if _is_source(path, root)}
        return own | (code - others - apart)
    if kind in ("prompt", "url"):
        return own
    code = set(_folder(root))
    if module is not None:
        traced = sources.trace(module, spec.root)
        used = {path for path in code - others if traced.may_use(path)}
        return own | (used | traced.modules | traced.named) - apart
    return own | (code - others - apart) | set(_words(spec, variant, root)) - apart


def _named(variant: Variant, root: Path) -> Iterator[Path]:
    """Files that the variant's settings name, at any depth."""
    todo: list[Any] = list(variant.settings.values())
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
        else:
            yield from _paths(value, root)


def _paths(value: Any, root: Path) -> Iterator[Path]:
    if not isinstance(value, str) or not value or len(value) > 1000 or "\0" in value or "\n" in value:
        return
    for scheme in _FILE_SCHEMES:
        value = value.removeprefix(scheme)
    path = root / value
    try:
        if path.is_file():
            yield path.resolve()
    except OSError:  # a text that is no path (a name too long for the file system)
        return


def _apart(spec: Spec) -> set[Path]:
    """Files of the contract that are not the feature: cases, the contract, rubrics and labels."""
    texts = [value for check in spec.checks for value in check.params.values()]
    root = spec.root.resolve()
    params = {path for text in texts for path in _paths(text, root)}
    return params | {path.resolve() for path in spec.cases.values()} | {spec.path.resolve(), root / _LOCK}


def _folder(root: Path) -> Iterator[Path]:
    """Code files under the contract's folder; hidden folders, other contracts and environments left out."""
    todo = [root]
    while todo:
        for path in todo.pop().iterdir():
            if path.name.startswith((".", "__pycache__")) or path.name == "node_modules":
                continue
            if path.is_dir():
                if not (path / "spec.yaml").exists() and not (path / "pyvenv.cfg").exists():
                    todo.append(path)
            elif path.suffix in _CODE:
                yield path.resolve()


def _is_source(path: Path, root: Path) -> bool:
    """Whether a pattern may mean this file: byte code and hidden folders (records, old copies) are never meant."""
    return path.is_file() and not any(
        part == "__pycache__" or part.startswith(".") for part in path.relative_to(root).parts
    )


def _words(spec: Spec, variant: Variant, root: Path) -> Iterator[Path]:
    """Files that a command line names."""
    for word in shlex.split(run_of(spec, variant) or ""):
        yield from _paths(word, root)
