"""The default baseline of a pull request: the feature as it was where the branch left the main line."""

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


def checkout(spec: Spec, root: Path, home: Path) -> Spec:
    """The spec as of the merge-base, from a copy under ``home/baselines/<commit>``.

    Raises:
        SpecError: when there is no git history to compare with, or the feature did not exist there.
    """
    top = _git(spec, root, "rev-parse", "--show-toplevel")
    commit = _merge_base(spec, root)
    relative = spec.path.resolve().relative_to(Path(top).resolve())
    folder = home / "baselines" / commit
    if not (folder / relative).exists():
        _extract(spec, Path(top), commit, folder)
    if not (folder / relative).exists():
        raise SpecError(
            f"no baseline: {relative} does not exist at the merge-base {commit[:12]}",
            file=spec.path,
            hint=_HINT,
        )
    return specs.load(folder / relative)


def _merge_base(spec: Spec, root: Path) -> str:
    target = os.environ.get("GITHUB_BASE_REF") or os.environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
    lines = (f"origin/{target}", *_MAIN_LINES) if target else _MAIN_LINES
    for line in lines:
        found = _run(root, "merge-base", "HEAD", line)
        if found.returncode == 0:
            return found.stdout.decode().strip()
    raise SpecError(
        "no baseline: this checkout shares no history with a main line",
        file=spec.path,
        hint=f"In CI fetch the whole history (fetch-depth: 0). {_HINT}",
    )


def _extract(spec: Spec, top: Path, commit: str, folder: Path) -> None:
    archive = _run(top, "archive", "--format=tar", commit)
    if archive.returncode != 0:
        raise SpecError(
            f"git archive {commit[:12]}: {archive.stderr.decode().strip()}", file=spec.path, hint=_HINT
        )
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


def _git(spec: Spec, root: Path, *words: str) -> str:
    found = _run(root, *words)
    if found.returncode != 0:
        raise SpecError(f"no baseline: {root} is not a git checkout", file=spec.path, hint=_HINT)
    return found.stdout.decode().strip()


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, b"", b"git is not installed")
