"""The one change we make to a contract that a person wrote: a further file of cases, on one line, and told."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import msgspec

from shiftright.core.case import Split
from shiftright.core.spec import Spec
from shiftright.errors import SpecError
from shiftright.spec.loading import load, read_document

_FLOW = re.compile(r"(cases:\s*\{.*[^\s{,])(\s*,?\s*\}\s*(?:#.*)?)")
_SINGLE = re.compile(r"cases:(\s*)([\w./-]+)(\s*(?:#.*)?)")


def add_split(path: Path, split: Split, name: str) -> str:
    """Name a file of cases in the contract at ``path``. Everything else in it stays as it is, byte for byte.

    The changed text has to read as the same contract with that file added, or nothing is written.

    Returns:
        What was changed, as a sentence with file and line.

    Raises:
        SpecError: where ``cases`` is written in a way (or in an extended file) that one line cannot change; the hint is
            the edit to make.
    """
    before = load(path)
    text = path.read_bytes().decode("utf-8-sig")
    document = read_document(path)
    line = document.marks["cases"].line if "cases" in document else 0
    changed = _changed(text.splitlines(keepends=True), line, split, name) if line else None
    if changed is not None and _written(path, changed, before, split, name):
        return f"{path}:{line}: cases: has {split}: {name} now"
    raise SpecError(
        f"the contract names no {split} cases, and its `cases` cannot be changed on one line",
        file=path,
        line=line or None,
        hint=f"Add `{split}: {name}` under `cases:` (a single file becomes `{{gate: FILE, {split}: {name}}}`).",
    )


def _changed(lines: list[str], number: int, split: str, name: str) -> str | None:
    given = lines[number - 1]
    body = given.rstrip("\r\n")
    end = given[len(body) :]
    if flow := _FLOW.fullmatch(body):
        lines[number - 1] = f"{flow[1]}, {split}: {name}{flow[2]}{end}"
    elif single := _SINGLE.fullmatch(body):
        lines[number - 1] = f"cases:{single[1]}{{gate: {single[2]}, {split}: {name}}}{single[3]}{end}"
    elif re.fullmatch(r"cases:\s*(?:#.*)?", body) and number < len(lines):
        indent = re.match(r" +", lines[number])
        if indent is None:
            return None
        lines.insert(number, f"{indent[0]}{split}: {name}{end}")
    else:
        return None
    return "".join(lines)


def _written(path: Path, text: str, before: Spec, split: str, name: str) -> bool:
    """Read from a draft beside the contract first; it takes the contract's place only when it says what it should."""
    handle, drafted = tempfile.mkstemp(dir=path.parent, prefix=".spec.", suffix=".yaml")
    draft = Path(drafted)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        cases = {**before.cases, split: path.parent / name}
        wanted = msgspec.structs.replace(before, cases=cases, path=draft)
        try:
            if _plain(load(draft)) != _plain(wanted):
                return False
        except SpecError:
            return False
        draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _plain(spec: Spec) -> Spec:
    """Without lines, which an added line moves, and with whole paths."""
    checks = tuple(
        msgspec.structs.replace(
            check, line=0, clauses=tuple(msgspec.structs.replace(clause, line=0) for clause in check.clauses)
        )
        for check in spec.checks
    )
    cases = {split: file.resolve() for split, file in spec.cases.items()}
    return msgspec.structs.replace(spec, checks=checks, cases=cases)
