"""How far two reviewers agree, and how many labels are still missing until something can be decided."""

from __future__ import annotations

from math import ceil

import msgspec

from shiftright.core.estimate import Estimate
from shiftright.core.spec import Check, Clause, Confidence
from shiftright.decisions.clauses import plan_clause, units_needed
from shiftright.decisions.words import points
from shiftright.evals.outlook import outlook
from shiftright.improve.preference import by_reviewer
from shiftright.improve.reviews import CORRECT
from shiftright.settings import Settings
from shiftright.spec import find
from shiftright.store import Records

MARGIN = 0.03
"""The drop that a feature without a contract would be held to: 3 points."""


class Agreement(msgspec.Struct, frozen=True):
    """Over what two people judged: the share they agree on, and Cohen's kappa, agreement beyond chance (1960, "A
    coefficient of agreement for nominal scales"; None where chance alone would agree on everything)."""

    name: str
    agree: Estimate
    kappa: float | None
    reviewers: tuple[str, ...]

    def __str__(self) -> str:
        if self.agree.value is None:
            return "nothing has been judged by two people yet"
        low, high = self.agree.interval
        kappa = "" if self.kappa is None else f", kappa {self.kappa:.2f}"
        return f"two reviewers agree on {self.agree.value:.0%} of {self.agree.n} ({low:.0%} to {high:.0%}){kappa}"


class LabelsMissing(msgspec.Struct, frozen=True):
    """``missing`` more labelled inputs until a difference of ``margin`` (a fraction) can be decided; ``labels`` are the
    independent gate cases and the traces that people have judged."""

    labels: int
    needed: int
    margin: float

    @property
    def missing(self) -> int:
        return max(self.needed - self.labels, 0)

    def __str__(self) -> str:
        if not self.missing:
            return f"{self.labels:,} labels: {points(self.margin)} can be decided"
        more = f"{self.missing:,} more label{'' if self.missing == 1 else 's'}"
        return f"{more} until {points(self.margin)} can be decided"


def agreement(records: Records, feature: str) -> Agreement:
    """Of the traces that several people have judged, the latest words of the first two of them."""
    from shiftright.scorers.labels import summarise
    from shiftright.stats import mean_interval

    pairs = []
    reviewers: set[str] = set()
    for values in by_reviewer(records.scores.window(feature, CORRECT, since=0.0, source="human")).values():
        if len(values) >= 2:
            (one, first), (other, second) = list(values.items())[:2]
            pairs.append((float(first >= 0.5), float(second >= 0.5)))
            reviewers |= {one, other}
    equal = [float(first == second) for first, second in pairs]
    interval = mean_interval(equal, low=0.0, high=1.0)
    found = summarise(len(pairs), pairs)
    return Agreement(
        CORRECT, Estimate(found.accuracy, interval, len(pairs)), found.kappa, tuple(sorted(reviewers))
    )


def labels_missing(settings: Settings, records: Records, feature: str) -> LabelsMissing:
    """By the contract's clause that asks for most; without a contract, for a drop of 3 points.

    Raises:
        Error: when the contract cannot be read.
    """
    judged = len(by_reviewer(records.scores.window(feature, CORRECT, since=0.0, source="human")))
    if not feature:
        return LabelsMissing(judged, _needed_without_contract(), MARGIN)
    clauses = outlook(find(feature, settings.root)).checks
    open_ = [
        clause
        for clause in clauses
        if clause.needed and clause.gap and clause.clause in ("at_least", "max_drop", "min_gain")
    ]
    if not open_:
        return LabelsMissing(judged, _needed_without_contract(), MARGIN)
    hardest = max(open_, key=lambda clause: clause.needed or 0)
    return LabelsMissing(hardest.cases + judged, hardest.needed or 0, hardest.gap or MARGIN)


def _needed_without_contract() -> int:
    clause = Clause("max_drop", MARGIN)
    return ceil(
        units_needed(
            plan_clause(Check("right", "exact"), clause, confidence=Confidence(), clauses=1, units=1)
        )
    )
