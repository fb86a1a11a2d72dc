"""What the decision sees of a case: numbers per check and repeat, for both sides."""

from __future__ import annotations

import msgspec

Values = tuple[float | None, ...]


class CaseScores(msgspec.Struct, frozen=True, gc=False):
    """One case in the order in which it enters the test.

    ``candidate`` and ``baseline`` map a check to its values, one per repeat: scores in [0, 1], seconds, or USD.
    None is a failed measurement (a failed *feature* has already been scored as its own side's worst value).
    ``unit`` is the case's group, or its own id; ``closes`` marks the last case of its group.
    """

    case_id: str
    candidate: dict[str, Values]
    baseline: dict[str, Values] = {}
    unit: str = ""
    closes: bool = True
