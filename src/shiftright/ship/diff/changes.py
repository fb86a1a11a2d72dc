"""In which ways one answer differs from another: the keys that behaviours are grouped by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from shiftright.core.spec import Spec
from shiftright.evals.report.visible import short
from shiftright.evals.target import quality
from shiftright.ship.diff.findings import Kind
from shiftright.ship.diff.replayed import Replayed
from shiftright.ship.diff.text.shape import LONGEST_LABEL, MOST_LABEL_WORDS
from shiftright.ship.diff.traits import Traits

SHORTEST = 80
"""Characters below which twice as long means nothing."""
FACTOR = 2.0
_WORDS = ("label", "number")


class Change(NamedTuple):
    """``field`` is the check, or the part of the data, that changed; "" where it is the whole answer."""

    kind: Kind
    before: str
    after: str
    field: str = ""

    @property
    def back(self) -> Change:
        return Change(self.kind, self.after, self.before, self.field)

    @property
    def name(self) -> str:
        if self.kind == "length":
            return "shorter by half or more" if self.after == "short" else "at least twice as long"
        said = f"{self.before} → {self.after}"
        return f"{self.field}: {said}" if self.field else said


def changes(one: Replayed, old: Traits, new: Traits, spec: Spec) -> list[Change]:
    """Every way in which the answer to one input changed; none where nothing that can be told did."""
    found = list(_flips(one, spec))
    if old.failure or new.failure:
        if bool(old.failure) != bool(new.failure):
            found.append(Change("failure", _came(old), _came(new)))
        return found
    if old.refused != new.refused:
        found.append(Change("refusal", _declined(old), _declined(new)))
        return found
    if old.shape != new.shape and not (old.shape in _WORDS and new.shape in _WORDS):
        found.append(Change("shape", old.shape, new.shape))
    found += _labels(old, new)
    if old.language and new.language and old.language != new.language:
        found.append(Change("language", old.language, new.language))
    shorter, longer = sorted((len(old.text), len(new.text)))
    if longer >= SHORTEST and longer >= FACTOR * shorter and shorter:
        words = ("long", "short") if len(new.text) < len(old.text) else ("short", "long")
        found.append(Change("length", *words))
    return found


def _came(side: Traits) -> str:
    return f"failed ({side.failure})" if side.failure else "answered"


def _declined(side: Traits) -> str:
    return "refused" if side.refused else "answered"


def _flips(one: Replayed, spec: Spec) -> Iterator[Change]:
    """Checks that one side passes and the other does not; one that could not be measured is no flip."""
    for check in spec.checks:
        if not quality(check):
            continue
        old, new = one.old_scores.get(check.name), one.new_scores.get(check.name)
        if old is None or new is None or old.value is None or new.value is None:
            continue
        turned = check.clause("at_most") is not None
        before, after = old.passed != turned, new.passed != turned
        if before != after:
            yield Change("check", _word(before), _word(after), check.name)


def _word(passed: bool) -> str:
    return "passed" if passed else "failed"


def _labels(old: Traits, new: Traits) -> Iterator[Change]:
    """Short words that became others: the answer itself, or fields of data."""
    before, after = old.data, new.data
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before:
            if (
                key in after
                and _is_label(before[key])
                and _is_label(after[key])
                and before[key] != after[key]
            ):
                yield Change("label", _shown(before[key]), _shown(after[key]), short(key, LONGEST_LABEL))
    elif old.shape in _WORDS and new.shape in _WORDS and _bare(before) != _bare(after):
        yield Change("label", _shown(before), _shown(after))


def _is_label(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_LABEL and len(value.split()) <= MOST_LABEL_WORDS
    return isinstance(value, bool)


def _shown(value: Any) -> str:
    return short(_bare(value), LONGEST_LABEL) or "nothing"


def _bare(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value
