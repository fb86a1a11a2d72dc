"""Which cases are one independent unit: those that share a group, whichever file says so."""

from __future__ import annotations

from collections.abc import Sequence

from shiftright.datasets.result_files import ResultRow

# a file's place and its own name for the group: two files may number theirs differently
Group = tuple[int, str]


def joined_groups(cases: Sequence[Sequence[Sequence[ResultRow]]]) -> tuple[list[str | None], bool]:
    """Each case's group, None without one, and whether the files disagree.

    ``cases`` holds each case's rows by file. Cases that any file puts into one group are together, so that no file's
    dependence is overlooked: the finest grouping that is coarser than every file's own.
    """
    named = [[(place, row.group) for place, rows in enumerate(case) for row in rows] for case in cases]
    groups = [[(place, name) for place, name in found if name is not None] for found in named]
    above: dict[Group, Group] = {}
    for found in groups:
        for group in found:
            above[_top(above, group)] = _top(above, found[0])
    tops = [_top(above, found[0]) if found else None for found in groups]
    names: dict[Group, Group] = {}
    for group in sorted(above):
        names.setdefault(_top(above, group), group)
    files = {(place, _top(above, (place, name))) for place, name in above}
    return [None if top is None else _label(*names[top]) for top in tops], len(files) < len(above)


def _label(place: int, name: str) -> str:
    return name if place == 0 else f"{name}\0{place}"


def _top(above: dict[Group, Group], group: Group) -> Group:
    while (higher := above.setdefault(group, group)) != group:
        above[group] = above[higher]
        group = higher
    return group
