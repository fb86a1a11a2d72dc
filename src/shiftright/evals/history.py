"""What is remembered of earlier decisions: the records of this machine and the committed lock, as one book."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from shiftright.core.verdict import Verdict
from shiftright.decisions.contract import Frozen
from shiftright.decisions.ledger import Book, Decision
from shiftright.decisions.lock import BaselineScore, Lock, LockedDecision, Stable
from shiftright.errors import StoreError
from shiftright.evals.target import Target
from shiftright.store import Records
from shiftright.store.leases import new_holder
from shiftright.store.rows import ConsumedRow, DecisionRow

LOCK_NAME = "shiftright.lock"
LEASE_S = 30.0


class History:
    """Reads both memories, writes both."""

    def __init__(self, root: Path, records: Records) -> None:
        self._path, self._records = root / LOCK_NAME, records
        self.lock = Lock.read(self._path)

    def book(self, feature: str) -> Book:
        """Every attempt at this feature; where both memories know one, the one that has seen more."""
        entries = {row.id: (row, consumed) for row, consumed in self.lock.book.rows if row.feature == feature}
        for row in self._records.ledger.find_related(feature):
            consumed = tuple(self._records.ledger.consumed(row.id))
            locked = entries.get(row.id)
            if locked is None or (row.decided, len(consumed)) >= (locked[0].decided, len(locked[1])):
                entries[row.id] = (row, consumed)
        return Book(tuple(entries.values()))

    def begin(self, decision: Decision) -> None:
        """Make the decision known to the records (it may be new, or come from the lock)."""
        ledger = self._records.ledger
        known = ledger.get(decision.row.id)
        if known is None:
            ledger.create(msgspec.structs.replace(decision.row, decided=False, verdict=None))
        there = 0 if known is None else len(ledger.consumed(decision.row.id))
        if decision.consumed[there:]:
            ledger.append(decision.consumed[there:])
        if known is None and decision.row.decided and decision.row.verdict is not None:
            ledger.decide(decision.row.id, decision.row.verdict)

    @contextmanager
    def lease(self, decision_id: str) -> Iterator[Lease]:
        """The right to run this decision, for one process at a time.

        Raises:
            StoreError: when another process has it.
        """
        lease = Lease(self._records, decision_id, new_holder())
        self._records.ledger.acquire(decision_id, lease.holder, LEASE_S)
        try:
            yield lease
        finally:
            self._records.ledger.release(decision_id, lease.holder)

    def remember(
        self,
        target: Target,
        row: DecisionRow,
        consumed: Sequence[ConsumedRow],
        frozen: Frozen,
        verdict: Verdict | None,
    ) -> None:
        """Write the lock: the decision as it stands and the baseline's scores of every case it used."""
        decided = msgspec.structs.replace(
            row, frozen=msgspec.to_builtins(frozen), verdict=verdict, decided=verdict is not None
        )
        lines: list[Stable | BaselineScore | LockedDecision] = [LockedDecision(decided, tuple(consumed))]
        if target.baseline is not None:
            identity = target.baseline_identity
            lines.append(Stable(target.spec.feature, target.baseline.name, identity))
            lines += [
                BaselineScore(target.spec.feature, identity, c.case_id, c.case_digest, c.baseline)
                for c in consumed
                if c.baseline
            ]
        self.lock.merge(lines)
        self.lock.write(self._path)


class Lease(msgspec.Struct):
    """Held by renewal: it lapses LEASE_S after the last one."""

    records: Records
    decision_id: str
    holder: str

    def renew(self) -> None:
        holder = self.records.ledger.lease(self.decision_id, self.holder, LEASE_S)
        if holder != self.holder:
            raise StoreError(
                f"another eval is running this decision ({holder})",
                hint="Wait for it to end and run the command again: it goes on from what the other has recorded.",
            )
