"""Labels that people gave, and how far a judge agrees with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from shiftright.core.case import digest_of
from shiftright.errors import DatasetError
from shiftright.scorers.rubric import Rubric

_KEYS = ("case_id", "input", "output", "other", "label")
_WORDS: dict[str | bool, float] = {
    "pass": 1.0, "fail": 0.0, "yes": 1.0, "no": 0.0, "good": 1.0, "bad": 0.0, True: 1.0, False: 0.0
}  # fmt: skip
_PAIRWISE: dict[str | bool, float] = {"win": 1.0, "tie": 0.5, "loss": 0.0}


class Label(msgspec.Struct, frozen=True):
    """A person's verdict on one output, as ``value`` in [0, 1]. ``other`` is the opponent of a pairwise label."""

    value: float
    case_id: str | None = None
    input: Any = None
    output: Any = None
    other: Any = None

    @property
    def digest(self) -> str:
        return digest_of(self.input, self.output, self.other)[:12]


class LabelsSummary(msgspec.Struct, frozen=True):
    """``labels`` in all, ``compared`` with the judge; over those the share of equal verdicts and Cohen's kappa with
    quadratic weights (agreement beyond chance; for two verdicts the plain kappa). None where nothing can be said."""

    labels: int
    compared: int
    accuracy: float | None
    kappa: float | None
    cost_usd: float | None = 0.0

    def __str__(self) -> str:
        if not self.compared or self.accuracy is None:
            return f"as this judge sees it; human labels: {self.labels}"
        kappa = "" if self.kappa is None else f", kappa {self.kappa:.2f}"
        return f"human labels: {self.labels}; the judge agrees with {self.accuracy:.0%} of {self.compared}{kappa}"


def load(path: Path, rubric: Rubric) -> tuple[Label, ...]:
    """Labels from JSONL rows ``{case_id | input, output?, label}``; pairwise rows have ``other`` too.

    ``label`` is pass/fail (or true/false, yes/no, good/bad), a number of the rubric's scale, or win/tie/loss.

    Raises:
        DatasetError: whatever is no label, with file and line.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as cause:
        raise DatasetError(f"cannot be read: {cause.strerror}", file=path) from None
    return tuple(_label(line, path, number, rubric) for number, line in enumerate(lines, 1) if line.strip())


def summarise(
    count: int, pairs: Sequence[tuple[float, float]], cost_usd: float | None = 0.0
) -> LabelsSummary:
    """Agreement over pairs of (judge, person). Kappa: Cohen 1968, "Weighted kappa", equation 6."""
    if not pairs:
        return LabelsSummary(count, 0, None, None, cost_usd)
    n = len(pairs)
    equal = sum(abs(judge - person) < 1e-9 for judge, person in pairs) / n
    seen = sum((judge - person) ** 2 for judge, person in pairs) / n
    # The expected squared difference of independent draws, without going through all pairs.
    mean_judge, mean_person = (sum(pair[side] for pair in pairs) / n for side in (0, 1))
    square_judge, square_person = (sum(pair[side] ** 2 for pair in pairs) / n for side in (0, 1))
    by_chance = square_judge + square_person - 2 * mean_judge * mean_person
    return LabelsSummary(count, n, equal, 1 - seen / by_chance if by_chance > 1e-12 else None, cost_usd)


def _label(line: bytes, path: Path, number: int, rubric: Rubric) -> Label:
    where: dict[str, Any] = {"file": path, "line": number}
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise DatasetError(f"not JSON: {cause}", **where) from None
    if not isinstance(row, dict) or "label" not in row or ("case_id" in row) == ("input" in row):
        hint = (
            'A label is {"case_id": "c1", "output": "…", "label": "pass"}, or has input instead of case_id.'
        )
        raise DatasetError("no label: it needs label, and one of case_id and input", **where, hint=hint)
    if unknown := [key for key in row if key not in _KEYS]:
        raise DatasetError(f"unknown key {unknown[0]!r}", **where, hint=f"Known: {', '.join(_KEYS)}.")
    if "input" in row and row.get("output") is None:
        hint = "Add output, or name the case with case_id."
        raise DatasetError("a label of an input needs the output that was labelled", **where, hint=hint)
    if rubric.pairwise and row.get("output") is not None and row.get("other") is None:
        raise DatasetError(
            "a pairwise label of an output needs other", **where, hint="Add the opponent's output."
        )
    case_id = str(row["case_id"]) if "case_id" in row else None
    value = _value(row["label"], rubric, where)
    return Label(value, case_id, row.get("input"), row.get("output"), row.get("other"))


def _value(label: Any, rubric: Rubric, where: dict[str, Any]) -> float:
    word = label.strip().casefold() if isinstance(label, str) else label
    known = _PAIRWISE if rubric.pairwise else _WORDS if rubric.scale is None else {}
    if isinstance(word, (str, bool)) and word in known:
        return known[word]
    if rubric.scale is not None and not rubric.pairwise:
        low, high = rubric.scale
        if isinstance(word, (int, float)) and not isinstance(word, bool) and low <= word <= high:
            return (word - low) / (high - low)
        raise DatasetError(f"the label {label!r} is not on the scale", **where, hint=f"Give {low} to {high}.")
    expected = ", ".join(str(key) for key in known if isinstance(key, str))
    raise DatasetError(f"the label {label!r} is none", **where, hint=f"Give one of {expected}.")
