"""The feature as it was where the branch left the main line: a pull request's default baseline."""

from __future__ import annotations

import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from shiftright import spec as specs
from shiftright.core.spec import Spec
from shiftright.errors import SpecError

# In a pull request CI names the target branch; else the usual main lines, remote before local.
_MAIN_LINES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
_HINT = "Name one in the contract (baseline: VARIANT) or with --baseline."


def checkout(spec: Spec, root: Path, home: Path, base: str | None = None) -> Spec:
    """The spec as of the merge-base with ``base`` (a git ref; default: the main line), from a copy of that commit.

    Raises:
        SpecError: when there is no git history to compare with, or the feature did not exist there.
    """
    try:
        commit = commit_of(root, base)
        found = contract_at(spec, root, home, commit)
    except SpecError as error:
        raise SpecError(error.message, file=spec.path, hint=f"{error.hint or ''} {_HINT}".strip()) from None
    if found is None:
        name = spec.path.resolve().relative_to(top_of(root))
        raise SpecError(
            f"no baseline: {name} does not exist at the merge-base {commit[:12]}", file=spec.path, hint=_HINT
        )
    return specs.load(found)


def contract_at(spec: Spec, root: Path, home: Path, commit: str) -> Path | None:
    """The feature's contract in a copy of that commit: where it lies now, else wherever one has its name."""
    folder, top = copy_of(root, home, commit), top_of(root)
    same = folder / spec.path.resolve().relative_to(top)
    if same.exists():
        return same
    moved = specs.names(folder).get(spec.feature, [])
    return moved[0] if len(moved) == 1 else None


def top_of(root: Path) -> Path:
    """The folder of the whole checkout.

    Raises:
        SpecError: when ``root`` is in none.
    """
    found = git(root, "rev-parse", "--show-toplevel")
    if found.returncode != 0:
        raise SpecError(f"no baseline: {root} is not a git checkout")
    return Path(found.stdout.decode().strip()).resolve()


def commit_of(root: Path, base: str | None = None) -> str:
    """The merge-base of HEAD and ``base``, or of HEAD and the main line.

    Raises:
        SpecError: when there is none: another history, a shallow clone, an unknown ref.
    """
    top_of(root)
    target = os.environ.get("GITHUB_BASE_REF") or os.environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
    lines = (f"origin/{target}", *_MAIN_LINES) if target else _MAIN_LINES
    for line in (base,) if base else lines:
        found = git(root, "merge-base", "--end-of-options", "HEAD", line)
        if found.returncode == 0:
            return found.stdout.decode().strip()
    what = repr(base) if base else "a main line"
    raise SpecError(
        f"no baseline: this checkout shares no history with {what}",
        hint="In CI fetch the whole history (fetch-depth: 0).",
    )


def copy_of(root: Path, home: Path, commit: str) -> Path:
    """The files of a commit under ``home/baselines/<commit>``; written once.

    Raises:
        SpecError: when git cannot give them.
    """
    folder = home / "baselines" / commit
    if not folder.exists():
        _extract(top_of(root), commit, folder)
    return folder


def _extract(top: Path, commit: str, folder: Path) -> None:
    archive = git(top, "archive", "--format=tar", commit)
    if archive.returncode != 0:
        raise refused(archive)
    part = folder.with_name(f"{folder.name}.{os.getpid()}")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(part, filter="data")
    # its own project root, so that the old code imports the old modules
    (part / ".shiftright").mkdir(exist_ok=True)
    try:
        part.replace(folder)
    except OSError:  # another process was quicker; its copy is the same commit
        if not folder.exists():
            raise


def refused(done: subprocess.CompletedProcess[bytes]) -> SpecError:
    """What git said when it did not do it."""
    said = done.stderr.decode(errors="replace").strip()
    return SpecError(f"git {done.args[1]}: {said}", hint="Is this a whole checkout? git fsck")


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """One git command. Its exit code is looked at by whoever asked; 127 where git is not installed."""
    try:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return subprocess.CompletedProcess(["git", *words], 127, b"", b"git is not installed")
