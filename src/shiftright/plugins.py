"""Entry points: the one door through which built-ins and other people's packages come in.

Groups: ``shiftright.scorers`` (name -> Scorer class or callable), ``shiftright.models`` (scheme -> function that
gives a pydantic-ai Model), ``shiftright.result_files`` (name -> reader of another tool's result file),
``shiftright.readers`` (name -> what gives a Reader of another tool's traces and datasets, called with the environment),
``shiftright.notifiers`` (name -> what gives a Notifier, called with the channel's keys in ``shiftright.yaml``,
which raises ValueError for keys it cannot use).
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from shiftright.errors import UsageError


@cache
def found(group: str) -> dict[str, EntryPoint]:
    """All entry points of ``shiftright.<group>`` by name."""
    return {point.name: point for point in entry_points(group=f"shiftright.{group}")}


def load(group: str, name: str) -> Any:
    """The object behind a name.

    Raises:
        UsageError: for an unknown name, with the nearest known one.
    """
    points = found(group)
    if name not in points:
        near = difflib.get_close_matches(name, points, n=1)
        guess = f"Did you mean {near[0]!r}? " if near else ""
        raise UsageError(
            f"there is no {group.rstrip('s').replace('_', ' ')} {name!r}",
            hint=f"{guess}Known: {', '.join(sorted(points))}.",
        )
    return points[name].load()
