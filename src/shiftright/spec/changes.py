"""What a change of the contract means: is it looser?"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from shiftright.core.spec import Check, Clause, Spec
from shiftright.spec.checks import phrase
from shiftright.spec.values import format_fraction

Direction = Literal["looser", "tighter", "added", "removed", "other"]
_MORE_IS_TIGHTER = frozenset({"at_least", "min_gain"})


class Change(NamedTuple):
    """One difference. ``where`` is the check or key; ``old`` and ``new`` are as a contract states them."""

    where: str
    direction: Direction
    old: str | None
    new: str | None

    @property
    def weakens(self) -> bool:
        """Something that was refused may now pass."""
        return self.direction in ("looser", "removed")

    def __str__(self) -> str:
        arrow = {"added": f"{self.new}", "removed": f"{self.old}"}.get(
            self.direction, f"{self.old} → {self.new}"
        )
        return f"{self.where}: {self.direction}: {arrow}"


def diff(old: Spec, new: Spec) -> list[Change]:
    """The differences that bear on a decision, check by check."""
    changes: list[Change] = []
    before = {check.name: check for check in old.checks}
    after = {check.name: check for check in new.checks}
    for name in [*before, *(name for name in after if name not in before)]:
        changes += _check(name, before.get(name), after.get(name))
    changes += _confidence(old, new)
    changes += _settings(old, new)
    return changes


def _check(name: str, old: Check | None, new: Check | None) -> list[Change]:
    changes = []
    if old is not None and new is not None:
        if old.score != new.score:
            changes.append(Change(name, "other", f"score: {old.score}", f"score: {new.score}"))
        for key in sorted({*old.params, *new.params}):
            if old.params.get(key) != new.params.get(key):
                stated = [None if key not in c.params else f"{key}: {c.params[key]}" for c in (old, new)]
                changes.append(Change(name, "other", stated[0], stated[1]))
    kinds = [clause.kind for check in (old, new) if check for clause in check.clauses]
    for kind in dict.fromkeys(kinds):
        left = old.clause(kind) if old else None
        right = new.clause(kind) if new else None
        if left and right and old and new:
            changes += _clause(name, phrase(old, left), phrase(new, right), left, right)
        elif left and old:
            changes.append(Change(name, "removed", phrase(old, left), None))
        elif right and new:
            changes.append(Change(name, "added", None, phrase(new, right)))
    return changes


def _clause(name: str, before: str, after: str, old: Clause, new: Clause) -> list[Change]:
    changes = []
    if old.bound != new.bound:
        tighter = (new.bound > old.bound) == (old.kind in _MORE_IS_TIGHTER)
        changes.append(Change(name, "tighter" if tighter else "looser", before, after))
    if old.comfortable != new.comfortable:
        stated = [f"comfortable: {'default' if c.comfortable is None else c.comfortable}" for c in (old, new)]
        changes.append(Change(name, "other", stated[0], stated[1]))
    return changes


def _confidence(old: Spec, new: Spec) -> list[Change]:
    """A higher ``wrong_ship`` lets more bad variants pass; the two other rates stop more good ones."""
    changes = []
    before, after = msgspec.structs.asdict(old.confidence), msgspec.structs.asdict(new.confidence)
    for name, rate in before.items():
        if rate != after[name]:
            grew = after[name] > rate
            direction: Direction = "looser" if grew == (name == "wrong_ship") else "tighter"
            stated = [f"{name}: {format_fraction(value)}" for value in (rate, after[name])]
            changes.append(Change("confidence", direction, stated[0], stated[1]))
    return changes


def _settings(old: Spec, new: Spec) -> list[Change]:
    changes = []
    for key in ("run", "baseline"):
        before, after = getattr(old, key), getattr(new, key)
        if before != after:
            changes.append(Change(key, "other", before, after))
    for split in sorted({*old.cases, *new.cases}):
        paths = [spec.cases.get(split) for spec in (old, new)]
        if paths[0] is None:
            changes.append(Change(f"cases.{split}", "added", None, str(paths[1])))
        elif paths[1] is None:
            changes.append(Change(f"cases.{split}", "removed", str(paths[0]), None))
    return changes
