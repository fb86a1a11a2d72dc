"""Is a change's exam easier than the one before? Then its owner has to agree."""

from __future__ import annotations

from shiftright import datasets
from shiftright import spec as specs
from shiftright.core.counting import counted
from shiftright.core.spec import Spec
from shiftright.store import Records

OWNER = "owner"


def loosened(old: Spec, new: Spec) -> list[str]:
    """What became easier, in words: a clause, an error rate, a sign-off that is asked for, or cases that decide.

    Raises:
        DatasetError, CredentialsError: when the cases of either side cannot be read.
    """
    changes = specs.diff(old, new)
    said = [str(change) for change in changes if change.weakens]
    roles = [role for role in _roles(old) if role not in _roles(new)]
    said += [f"owner.sign_off: removed: {role}" for role in roles]
    for split in ("gate", "must"):
        before, after = old.cases.get(split), new.cases.get(split)
        if before is None or after is None or before.read_bytes() == after.read_bytes():
            continue
        now = {case.id: case.digest for case in datasets.load(after)}
        gone = [case.id for case in datasets.load(before) if now.get(case.id) != case.digest]
        if gone:
            shown = ", ".join(gone[:3]) + (", …" if len(gone) > 3 else "")
            said.append(f"cases.{split}: removed or rewritten: {counted(len(gone), 'case')} ({shown})")
    return said


def measured_otherwise(old: Spec, new: Spec) -> list[str]:
    """Changes of what a check measures: whether that is easier cannot be told from the contract."""
    names = {check.name for check in (*old.checks, *new.checks)}
    return [str(c) for c in specs.diff(old, new) if c.direction == "other" and c.where in names]


def signed(records: Records, spec: Spec) -> str | None:
    """Who signed this very contract as its owner; None while nobody has."""
    releases = {
        record.digest: record.content["release"]["contract"]
        for record in records.releases.list(spec.feature)
        if record.kind == "release"
    }
    for record in records.releases.list(spec.feature):
        is_owners = record.kind == "sign_off" and record.content.get("role") == OWNER
        if is_owners and releases.get(record.digest) == spec.digest:
            return record.by or OWNER
    return None


def _roles(spec: Spec) -> tuple[str, ...]:
    return tuple(spec.owner.get("sign_off", ()))
