"""One ledger, so that nobody can retry until green.

A decision is found again by what is decided (feature code, clauses, scorers, variant, baseline, estimand) and by the
lineage of its cases: a data set that still holds every consumed case unchanged, by whatever id, continues the decision,
whatever was added to it; in suite mode, which asks about exactly these cases, nothing may be added. A decided key gives
its stored verdict whatever the seed, repeats or caps.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import msgspec

from shiftright.core.case import Case, digest_of
from shiftright.core.verdict import Verdict
from shiftright.decisions.contract import Estimand, Frozen
from shiftright.decisions.order import Order, any_grouped, arrange, unit_sizes
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
    """What was decided before: ``earlier`` decisions on the same subject over other versions of the cases (``outgrown``
    of them over smaller groups), ``others`` on another subject over some of these cases, and the decision that
    ``refused`` this candidate for proven harm, if one has."""

    earlier: int = 0
    outgrown: int = 0
    others: tuple[DecisionRow, ...] = ()
    refused: DecisionRow | None = None


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


Entry = tuple[DecisionRow, tuple[ConsumedRow, ...]]


class Book(msgspec.Struct, frozen=True):
    """Where decisions are kept: rows with what each consumed. The store and the committed lock both fill one."""

    rows: tuple[Entry, ...] = ()

    def of(self, stem: str) -> list[Entry]:
        return [entry for entry in self.rows if entry[0].parts.get("stem") == stem]


def generation(row: DecisionRow) -> int:
    """Which of the baseline's answers an attempt is decided on."""
    found: int = row.parts.get("generation", 0)
    return found


class Lineage:
    """The cases there are, beside those that decisions were begun on."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._held = Counter(case.digest for case in cases)
        self._grouped = any_grouped(cases)

    @cached_property
    def digest(self) -> str:
        """Of what the cases hold, whatever they are called and however they are grouped."""
        return digest_of(sorted(self._held.elements()))

    def continues(self, entry: Entry) -> bool:
        """Is this the decision that these cases go on with, or had decided?"""
        row, consumed = entry
        if row.estimand == "suite":
            return bool(row.parts["lineage"] == self.digest)
        return self.keeps(consumed) and not self.outgrown(row, consumed)

    def latest(self, entries: Iterable[Entry]) -> Entry | None:
        """The one to continue. Where edits went back and forth, or branches were merged, several have one number:
        decided stays decided, the worse of two verdicts holds, and of two open ones the further goes on."""
        return max((entry for entry in entries if self.continues(entry)), key=_standing, default=None)

    def keeps(self, consumed: Iterable[ConsumedRow]) -> bool:
        """Is every case it has used still there, unchanged? By what it holds: another id is no other case."""
        return Counter(row.case_digest for row in consumed) <= self._held

    def overlaps(self, consumed: Iterable[ConsumedRow]) -> bool:
        return any(row.case_digest in self._held for row in consumed)

    def outgrown(self, row: DecisionRow, consumed: Sequence[ConsumedRow]) -> bool:
        """Is it open, and are there groups to come that are larger than its test was made for? Their weight would break
        its bounds, or, where every case counted for itself, their cases would pass for independent ones."""
        if not self._grouped or row.decided or row.estimand != "population" or not self.keeps(consumed):
            return False
        to_come = arrange(self._cases, seed=row.seed, consumed=consumed).rest
        sizes = unit_sizes(step.case for step in to_come)
        return bool(max(sizes, default=1) > row.frozen.get("largest_unit", 1))


def _standing(entry: Entry) -> tuple[int, bool, bool, int, int, str]:
    row, consumed = entry
    merge, verdict = (row.verdict.merge, row.verdict.verdict) if row.verdict else ("yes", "pass")
    worse = ("pass", "inconclusive", "fail").index(verdict)
    return row.attempt, row.decided, merge == "no", worse, len(consumed), row.id


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
    known, lineage = book.of(subject.stem), Lineage(cases)
    latest = lineage.latest(entry for entry in known if generation(entry[0]) == subject.generation)
    newest = max((row.attempt for row, _ in known), default=1)
    about = About(
        earlier=sum(not lineage.continues(entry) for entry in known),
        outgrown=sum(lineage.outgrown(row, used) for row, used in known),
        others=tuple(
            row
            for row, used in book.rows
            if row.decided and row.parts.get("stem") != subject.stem and lineage.overlaps(used)
        ),
        refused=next((e[0] for e in book.rows if _refuses(e[0], subject) and lineage.continues(e)), None),
    )
    # an older attempt is never reopened: editing a case that only a later one has used must not bring it back
    if latest is not None and latest[0].attempt == newest and not another:
        return _reopen(latest, cases, about)
    attempt = newest + 1 if another and known else newest
    cases_digest = latest[0].parts["lineage"] if latest and another else lineage.digest
    # two that begin it at once know of the same ones: one key, of which the records take the first
    key = digest_of(subject.stem, cases_digest, subject.generation, sorted(row.id for row, _ in known))
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
        parts={"stem": subject.stem, "lineage": cases_digest, **msgspec.to_builtins(subject)},
        seed=seed,
        frozen=msgspec.to_builtins(frozen),
    )
    order = arrange(cases, seed=seed, grouped=subject.estimand == "population")
    return Decision(row, frozen, (), order, resumed=False, about=about)


def _seed(subject: Subject, attempt: int) -> int:
    """Every candidate against one baseline sees the cases in one order, so that the baseline's scores serve them all;
    a new baseline draws a new order."""
    return int(digest_of(subject.feature, subject.baseline or subject.candidate, attempt)[:8], 16)


def _refuses(row: DecisionRow, subject: Subject) -> bool:
    """Has it proven harm of this very candidate under this contract? Harm to the population is harm in suite mode too;
    a loss on one suite says nothing of the population."""
    if row.verdict is None or row.verdict.merge != "no":
        return False
    asked = (subject, msgspec.structs.replace(subject, estimand="population"))
    return row.parts.get("stem") in {same.stem for same in asked}


def _reopen(entry: Entry, cases: Sequence[Case], about: About) -> Decision:
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
        consumed=consumed,
        grouped=frozen.estimand == "population",
    )
    return Decision(row, frozen, consumed, order, resumed=True, about=about)
