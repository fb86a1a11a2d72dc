"""What a fresh runner remembers: the decisions of every commit of the branch, also those that a later one dropped."""

from __future__ import annotations

from pathlib import Path

from shiftright.decisions.lock import Lock
from shiftright.errors import StoreError
from shiftright.evals.history import LOCK_NAME
from shiftright.evals.merge_base import git


def recall(root: Path, commit: str) -> tuple[str, ...]:
    """Take the decisions of every version of ``shiftright.lock`` from ``commit`` to HEAD into the one that lies there.

    A refusal cannot be got rid of by taking its line out again. Versions that cannot be read are told of, not used.

    Raises:
        StoreError: when the lock as it lies there cannot be read or written.
    """
    path, said = root / LOCK_NAME, []
    lock = Lock.read(path)
    known = {(id_, entry.row.decided, len(entry.consumed)) for id_, entry in lock.decisions.items()}
    for version in _versions(root, commit):
        text = git(root, "show", f"{version}:./{LOCK_NAME}")
        if text.returncode != 0:  # the commit that removed the file
            continue
        try:
            lock.merge(Lock.of(text.stdout, path).decisions.values())
        except StoreError as error:
            said.append(f"{LOCK_NAME} of commit {version[:12]} cannot be read: {error.message}")
    if {(id_, entry.row.decided, len(entry.consumed)) for id_, entry in lock.decisions.items()} != known:
        lock.write(path)
    return tuple(said)


def _versions(root: Path, commit: str) -> list[str]:
    changed = git(root, "log", "--format=%H", f"{commit}..HEAD", "--", LOCK_NAME)
    return [commit, *changed.stdout.decode().split()[::-1]]
