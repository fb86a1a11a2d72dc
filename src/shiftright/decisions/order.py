"""The order in which cases enter a test. Random order is an assumption of every early stop, so it is fixed by a seed
and recorded (statistics.md, section k)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import msgspec

from shiftright.core.case import Case


class Step(msgspec.Struct, frozen=True, gc=False):
    """A case at its place in the order. ``unit`` is its group (its own id without one); ``closes`` marks the last."""

    case: Case
    unit: str
    closes: bool


class Order(msgspec.Struct, frozen=True):
    """``done``: consumed cases as recorded; ``rest``: what follows; ``skipped``: cases that joined a group which has
    already been consumed, and so cannot be an independent unit any more."""

    done: tuple[Step, ...]
    rest: tuple[Step, ...]
    skipped: tuple[str, ...] = ()


def arrange(cases: Iterable[Case], *, seed: int, consumed: Sequence[str] = (), grouped: bool = True) -> Order:
    """Consumed cases first, as recorded, then the rest by hash(seed, unit), groups kept together.

    Without ``grouped`` every case is its own unit (suite mode draws cases, not groups).
    """
    unit_of = _unit_of if grouped else _own_unit
    done: list[Step] = []
    if consumed:
        by_id = {case.id: case for case in cases}
        cases = by_id.values()
        done = _steps([by_id[case_id] for case_id in consumed], unit_of)
    seen_ids, seen_units = set(consumed), {step.unit for step in done}
    rest: list[Case] = []
    skipped = []
    for case in cases:
        if case.id in seen_ids:
            continue
        if unit_of(case) in seen_units:
            skipped.append(case.id)
        else:
            rest.append(case)
    rest.sort(key=lambda case: _place(seed, case, unit_of(case)))
    return Order(tuple(done), tuple(_steps(rest, unit_of)), tuple(skipped))


def unit_sizes(cases: Iterable[Case], *, grouped: bool = True) -> list[int]:
    """Cases per independent unit."""
    sizes: dict[str, int] = {}
    for case in cases:
        unit = _unit_of(case) if grouped else _own_unit(case)
        sizes[unit] = sizes.get(unit, 0) + 1
    return list(sizes.values())


def _steps(cases: Sequence[Case], unit_of: Callable[[Case], str]) -> list[Step]:
    units = [unit_of(case) for case in cases]
    following = [*units[1:], None]
    return [
        Step(case, unit, unit != after) for case, unit, after in zip(cases, units, following, strict=False)
    ]


def _own_unit(case: Case) -> str:
    return case.id


def _unit_of(case: Case) -> str:
    # marked, so that a case whose id equals another's group stays a unit of its own
    return case.id if case.group is None else f"{case.group}\0group"


def _place(seed: int, case: Case, unit: str) -> bytes:
    """Sorts by the unit's rank, and inside a group by the case's own."""
    return _rank(seed, unit) if unit == case.id else _rank(seed, unit) + _rank(seed, case.id)


def _rank(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=12).digest()
