"""What a variant of a feature consists of, as a digest: equal digests, equal behaviour."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shiftright import prompts
from shiftright.core.case import digest_of
from shiftright.core.spec import Spec, Variant
from shiftright.errors import PromptError
from shiftright.features.loading import LoadedFeature, run_of
from shiftright.spec.loading import RECORDED
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
    matched by the contract's ``touches``, else those in its folder, the modules the feature imports from the
    project, and files their text names, except those they only write. Not cases, the contract itself, or what only
    other variants name; not the Python or library versions. Independent of where the project lies and of the
    variant's name.
    """
    covered = files(loaded.spec, loaded.variant, loaded.kind, loaded.module)
    return digest_of(loaded.run, loaded.variant.settings, sources.digest_placed(covered))


def files(spec: Spec, variant: Variant, kind: str, module: str | None) -> dict[str, Path]:
    """The files the digest covers, by path relative to the contract. Those that the variant names count at the place it
    gives, wherever it has them: a release has its own."""
    named = named_files(variant, run_of(spec, variant))
    return sources.placed(_code_files(spec, variant, kind, module), spec.root) | named


def named_files(variant: Variant, run: str | None) -> dict[str, Path]:
    """The files that a variant's settings name (and recorded answers that it runs), by the path they give; schemas that
    prompts name beside themselves."""
    root = variant.root.resolve()
    texts = [*_texts(variant), *([run] if run is not None and run.startswith(RECORDED) else [])]
    found = {posixpath.normpath(_bare(text)): path for text in texts for path in _paths(text, root)}
    for name, path in [*found.items()]:
        declared = _declared_output(path)
        beside = (
            {posixpath.join(posixpath.dirname(name), declared): path.parent / declared} if declared else {}
        )
        found |= {posixpath.normpath(place): file for place, file in beside.items() if file.is_file()}
    return found


def _declared_output(path: Path) -> str | None:
    """The file of a JSON Schema that a prompt's front matter names."""
    with path.open("rb") as file:
        if file.read(3) != b"---":
            return None
    try:
        declared = prompts.load(path).settings.get("output")
    except PromptError:  # no prompt after all, or a broken one: rendering it says what is wrong
        return None
    return declared if isinstance(declared, str) else None


def _code_files(spec: Spec, variant: Variant, kind: str, module: str | None) -> set[Path]:
    """Those beside the ones that the variant names."""
    root = spec.root.resolve()
    if kind == "recorded":
        return set()
    # a release differs from the contract's variant of its name, whose files are no more its own than another's
    others = {
        path
        for other in spec.variants.values()
        if other != variant
        for text in _texts(other)
        for path in _paths(text, other.root.resolve())
    }
    apart = _apart(spec)
    if spec.touches:
        code = {path for pattern in spec.touches for path in root.glob(pattern) if _is_source(path, root)}
        return code - others - apart
    if kind in ("prompt", "url"):
        return set()
    code = set(_folder(root))
    if module is not None:
        traced = sources.trace(module, spec.root)
        return ((code - others) | traced.modules | traced.named) - apart
    return (code - others - apart) | set(_words(spec, variant, root)) - apart


def _texts(variant: Variant) -> Iterator[str]:
    """The texts in a variant's settings, at any depth."""
    todo: list[Any] = list(variant.settings.values())
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
        elif isinstance(value, str):
            yield value


def _bare(text: str) -> str:
    for scheme in _FILE_SCHEMES:
        text = text.removeprefix(scheme)
    return text


def _paths(value: Any, root: Path) -> Iterator[Path]:
    if not isinstance(value, str) or not value or len(value) > 1000 or "\0" in value or "\n" in value:
        return
    path = root / _bare(value)
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
