"""The order in which cases enter a test. Random order is an assumption of every early stop, so it is fixed by a seed
and recorded (statistics.md, section k). It follows from what the cases hold: ids and names of groups do not matter."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter

import msgspec

from shiftright.core.case import Case
from shiftright.store.rows import ConsumedRow


class Step(msgspec.Struct, frozen=True, gc=False):
    """A case at its place in the order. ``unit`` is its group (its own id without one); ``closes`` marks the last."""

    case: Case
    unit: str
    closes: bool


class Order(msgspec.Struct, frozen=True):
    """``done``: consumed cases as they are now, in the order recorded; ``rest``: what follows; ``skipped``: cases that
    joined a group which has already been consumed, and so cannot be an independent unit any more."""

    done: tuple[Case, ...]
    rest: tuple[Step, ...]
    skipped: tuple[str, ...] = ()


def arrange(
    cases: Iterable[Case], *, seed: int, consumed: Sequence[ConsumedRow] = (), grouped: bool = True
) -> Order:
    """Consumed cases first, as recorded, then the rest in an order drawn by the seed, groups kept together.

    A consumed case is found again by what it holds, whatever its id is now; the caller knows that each is there.
    Without ``grouped`` every case is its own unit (suite mode draws cases, not groups).
    """
    ranked = _ranked(cases, seed, grouped=grouped)
    if not consumed:
        return Order((), tuple(_steps(ranked, grouped=grouped)))
    done = _again(ranked, consumed)
    ids, units = {case.id for case in done}, {_unit_of(case, grouped=grouped) for case in done}
    rest, skipped = [], []
    for case in ranked:
        if case.id in ids:
            continue
        if _unit_of(case, grouped=grouped) in units:
            skipped.append(case.id)
        else:
            rest.append(case)
    return Order(tuple(done), tuple(_steps(rest, grouped=grouped)), tuple(skipped))


def unit_sizes(cases: Iterable[Case], *, grouped: bool = True) -> list[int]:
    """Cases per independent unit."""
    return list(Counter(_unit_of(case, grouped=grouped) for case in cases).values())


def _ranked(cases: Iterable[Case], seed: int, *, grouped: bool) -> list[Case]:
    """By hash(seed, the least digest in the unit, its number among the units that have that one).

    One member stands for its group, and by no property that a larger group has more often: else large ones came first.
    """
    cases = list(cases)
    if not (grouped and any_grouped(cases)) and len({case.digest for case in cases}) == len(cases):
        return sorted(cases, key=lambda case: _rank(seed, case.digest, 0))  # the same, for the usual case
    units: dict[str, list[Case]] = {}
    for case in cases:
        units.setdefault(_unit_of(case, grouped=grouped), []).append(case)
    for members in units.values():
        members.sort(key=_content)
    alike: Counter[str] = Counter()
    placed = []
    for members in sorted(units.values(), key=_contents):
        least = members[0].digest
        placed.append((_rank(seed, least, alike[least]), members))
        alike[least] += 1
    placed.sort(key=itemgetter(0))
    return [case for _, members in placed for case in members]


def any_grouped(cases: Iterable[Case]) -> bool:
    return any(case.group is not None for case in cases)


def _again(ranked: Sequence[Case], consumed: Sequence[ConsumedRow]) -> list[Case]:
    """The consumed cases as they are now: by id where that still holds the same, else the first that does."""
    by_id = {case.id: case for case in ranked}
    kept = [by_id.get(row.case_id) for row in consumed]
    kept = [
        case if case is not None and case.digest == row.case_digest else None
        for case, row in zip(kept, consumed, strict=True)
    ]
    taken = {case.id for case in kept if case is not None}
    others: dict[str, list[Case]] = {}
    for case in reversed(ranked):
        if case.id not in taken:
            others.setdefault(case.digest, []).append(case)
    return [
        case if case is not None else others[row.case_digest].pop()
        for case, row in zip(kept, consumed, strict=True)
    ]


def _steps(cases: Sequence[Case], *, grouped: bool) -> list[Step]:
    units = [_unit_of(case, grouped=grouped) for case in cases]
    following = [*units[1:], None]
    return [
        Step(case, unit, unit != after) for case, unit, after in zip(cases, units, following, strict=False)
    ]


def _unit_of(case: Case, *, grouped: bool) -> str:
    # marked, so that a case whose id equals another's group stays a unit of its own
    return case.id if case.group is None or not grouped else f"{case.group}\0group"


def _content(case: Case) -> tuple[str, str]:
    return case.digest, case.id


def _contents(members: Sequence[Case]) -> tuple[list[str], str]:
    return [case.digest for case in members], members[0].id


def _rank(seed: int, digest: str, number: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{digest}:{number}".encode(), digest_size=12).digest()
