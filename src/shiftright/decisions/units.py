"""What the decision sees of a case: numbers per check and repeat, for both sides."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shiftright.store.rows import ConsumedRow

Values = tuple[float | None, ...]


class Units(msgspec.Struct, frozen=True):
    """``n`` independent units that hold ``cases`` cases: groups, or the cases themselves.

    ``share`` is the mean group's size over the largest one's (1 where all are equal).
    """

    n: int
    cases: int
    share: float = 1.0

    @classmethod
    def of(cls, sizes: Sequence[int]) -> Units:
        """``sizes``: cases per unit."""
        total = sum(sizes)
        return cls(len(sizes), total, total / len(sizes) / max(sizes) if sizes else 1.0)


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

    @classmethod
    def of(cls, row: ConsumedRow) -> CaseScores:
        """What a decision saw of a case it has used, in the group it had then."""
        return cls(row.case_id, row.candidate, row.baseline, closes=row.closes)
