"""One ledger, so that nobody can retry until green.

A decision is found again by what is decided (feature code, clauses, scorers, variant, baseline, estimand) and by the
lineage of its cases: a data set that still holds every consumed case unchanged continues the decision, whatever was
added to it. A decided key gives its stored verdict whatever the seed, repeats or caps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from shiftright.core.case import Case, digest_of, digest_of_cases
from shiftright.core.verdict import Verdict
from shiftright.decisions.contract import Estimand, Frozen
from shiftright.decisions.order import Order, arrange
from shiftright.errors import StoreError
from shiftright.store.rows import ConsumedRow, DecisionRow


class Subject(msgspec.Struct, frozen=True):
    """What is decided, by digest. Names of variants are not part of it: renaming is no new attempt.

    ``generation`` is that of the baseline's answers. An attempt never goes on with another generation's scores, but
    attempts are counted and harm is remembered over all of them: it is not part of ``stem``.
    """

    feature: str
    clauses: str
    scorers: str
    candidate: str
    baseline: str | None
    estimand: Estimand
    generation: int = 0

    @property
    def stem(self) -> str:
        parts = msgspec.to_builtins(self)
        del parts["generation"]
        return digest_of(parts)


class About(msgspec.Struct, frozen=True):
    """What was decided before: ``earlier`` decisions on the same subject over other versions of the cases, ``others``
    on other candidates or contracts over some of these cases, and the attempt that proved harm, if one has."""

    earlier: int = 0
    others: int = 0
    refused_at: int | None = None


class Decision(msgspec.Struct, frozen=True):
    """One attempt: its frozen test, what it has consumed, and its verdict once decided."""

    row: DecisionRow
    frozen: Frozen
    consumed: tuple[ConsumedRow, ...]
    order: Order
    resumed: bool
    about: About = About()

    @property
    def verdict(self) -> Verdict | None:
        return self.row.verdict if self.row.decided else None


class Book(msgspec.Struct, frozen=True):
    """Where decisions are kept: rows with what each consumed. The store and the committed lock both fill one."""

    rows: tuple[tuple[DecisionRow, tuple[ConsumedRow, ...]], ...] = ()

    def of(self, stem: str) -> list[tuple[DecisionRow, tuple[ConsumedRow, ...]]]:
        return [entry for entry in self.rows if entry[0].parts.get("stem") == stem]


def generation(row: DecisionRow) -> int:
    """Which of the baseline's answers an attempt is decided on."""
    found: int = row.parts.get("generation", 0)
    return found


def open_decision(
    subject: Subject,
    variant: str,
    baseline: str | None,
    cases: Sequence[Case],
    book: Book,
    *,
    new_id: Callable[[], str],
    freeze: Callable[[int, int], Frozen],
    another: bool = False,
) -> Decision:
    """Continue the subject's newest attempt on this lineage, or begin one.

    ``freeze(attempt, seed)`` makes what a new attempt fixes. ``another`` (``--new-decision``) begins attempt j + 1.
    """
    digests = {case.id: case.digest for case in cases}
    known = book.of(subject.stem)
    ours = [entry for entry in known if _same_lineage(entry[1], digests)]
    current = [entry for entry in ours if generation(entry[0]) == subject.generation]
    latest = max(current, key=lambda entry: entry[0].attempt, default=None)
    newest = max((row.attempt for row, _ in known), default=1)
    about = About(
        earlier=len(known) - len(ours),
        others=sum(1 for row, used in book.rows if row.decided and _overlaps(row, used, subject, digests)),
        refused_at=next((row.attempt for row, _ in ours if row.verdict and row.verdict.merge == "no"), None),
    )
    # an older attempt is never reopened: editing a case that only a later one has used must not bring it back
    if latest is not None and latest[0].attempt == newest and not another:
        return _reopen(latest, cases, about)
    attempt = newest + 1 if another and known else newest
    lineage = latest[0].parts["lineage"] if latest and another else digest_of_cases(cases)
    key = digest_of(subject.stem, lineage, subject.generation)
    seed = _seed(subject, attempt)
    frozen, now = freeze(attempt, seed), time.time()
    row = DecisionRow(
        id=new_id(),
        key=key,
        feature=subject.feature,
        variant=variant,
        baseline=baseline,
        created_at=now,
        updated_at=now,
        attempt=attempt,
        estimand=subject.estimand,
        parts={"stem": subject.stem, "lineage": lineage, **msgspec.to_builtins(subject)},
        seed=seed,
        frozen=msgspec.to_builtins(frozen),
    )
    order = arrange(cases, seed=seed, grouped=subject.estimand == "population")
    return Decision(row, frozen, (), order, resumed=False, about=about)


def _seed(subject: Subject, attempt: int) -> int:
    """Every candidate against one baseline sees the cases in one order, so that the baseline's scores serve them all;
    a new baseline draws a new order."""
    return int(digest_of(subject.feature, subject.baseline or subject.candidate, attempt)[:8], 16)


def _overlaps(
    row: DecisionRow, used: Iterable[ConsumedRow], subject: Subject, digests: dict[str, str]
) -> bool:
    return row.parts.get("stem") != subject.stem and any(
        digests.get(c.case_id) == c.case_digest for c in used
    )


def _reopen(
    entry: tuple[DecisionRow, tuple[ConsumedRow, ...]], cases: Sequence[Case], about: About
) -> Decision:
    row, consumed = entry
    try:
        frozen = msgspec.convert(row.frozen, Frozen)
    except msgspec.ValidationError as error:
        raise StoreError(
            f"decision {row.id} was recorded in a form this version cannot read: {error}",
            hint="Begin another attempt with --new-decision, or use the version that recorded it.",
        ) from error
    order = arrange(
        cases,
        seed=row.seed,
        consumed=[c.case_id for c in consumed],
        grouped=frozen.estimand == "population",
    )
    return Decision(row, frozen, consumed, order, resumed=True, about=about)


def _same_lineage(consumed: Iterable[ConsumedRow], digests: dict[str, str]) -> bool:
    return all(digests.get(row.case_id) == row.case_digest for row in consumed)
