"""What is remembered of earlier decisions: the records of this machine and the committed lock, as one book."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from shiftright.core.case import digest_of
from shiftright.core.verdict import Verdict
from shiftright.decisions.contract import Frozen
from shiftright.decisions.ledger import Book, Decision, generation
from shiftright.decisions.lock import BaselineScore, Lock, LockedDecision, Stable
from shiftright.evals.target import Target
from shiftright.store import Records
from shiftright.store.leases import new_holder
from shiftright.store.rows import ConsumedRow, DecisionRow

LOCK_NAME = "shiftright.lock"
LEASE_S = 8.0


class History:
    """Reads both memories, writes both."""

    def __init__(self, root: Path, records: Records) -> None:
        self.path, self._records = root / LOCK_NAME, records
        self.lock = Lock.read(self.path)

    def book(self, feature: str) -> Book:
        """Every attempt at this feature; where both memories know one, the one that has seen more."""
        entries = {row.id: (row, consumed) for row, consumed in self.lock.book.rows if row.feature == feature}
        for row in self._records.ledger.find_related(feature):
            consumed = tuple(self._records.ledger.consumed(row.id))
            locked = entries.get(row.id)
            if locked is None or (row.decided, len(consumed)) >= (locked[0].decided, len(locked[1])):
                entries[row.id] = (row, consumed)
        return Book(tuple(entries.values()))

    def current(self, target: Target) -> Target:
        """The target with the baseline's newest answers: either memory has a decision that was begun on them."""
        feature, baseline = target.spec.feature, target.baseline
        if baseline is None:
            return target
        locked = [entry.row for entry in self.lock.decisions.values() if entry.row.feature == feature]
        rows = [*locked, *self._records.ledger.find_related(feature)]
        newest = [generation(row) for row in rows if row.parts.get("baseline") == baseline.digest]
        return target.at(max(newest, default=0))

    def begin_anew(self, decision: Decision) -> None:
        """Make a decision on the next generation of the baseline's answers known, in both memories: what was remembered
        before it is set aside."""
        self.begin(decision)
        self.lock.merge([LockedDecision(decision.row, decision.consumed)])
        self.lock.write(self.path)

    def begin(self, decision: Decision) -> None:
        """Make the decision known to the records (it may be new, or come from the lock)."""
        ledger = self._records.ledger
        known = ledger.get(decision.row.id)
        if known is None:
            # one that the lock brings was not begun here: it cannot be in anybody's way
            key = digest_of(decision.row.id) if decision.resumed else decision.row.key
            ledger.create(msgspec.structs.replace(decision.row, key=key, decided=False, verdict=None))
        there = 0 if known is None else len(ledger.consumed(decision.row.id))
        if decision.consumed[there:]:
            ledger.append(decision.consumed[there:])
        if known is None and decision.row.decided and decision.row.verdict is not None:
            ledger.decide(decision.row.id, decision.row.verdict)

    @asynccontextmanager
    async def lease(self, decision_id: str) -> AsyncIterator[None]:
        """The right to run this decision, for one process at a time, renewed in the background.

        Raises:
            StoreError: when another process has it and is alive.
        """
        ledger, holder = self._records.ledger, new_holder()
        await asyncio.to_thread(ledger.acquire, decision_id, holder, LEASE_S)
        renewing = asyncio.create_task(self._renew(decision_id, holder))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            ledger.release(decision_id, holder)

    async def _renew(self, decision_id: str, holder: str) -> None:
        """Until cancelled. Should another have taken over, the ledger's positions refuse this run's next flush."""
        while True:
            await asyncio.sleep(LEASE_S / 4)
            await asyncio.to_thread(self._records.ledger.lease, decision_id, holder, LEASE_S)

    def keep(self, target: Target, decision: Decision, frozen: Frozen) -> None:
        """Write a decision that only the records know into the lock again (it was deleted, or never committed)."""
        if decision.row.id not in self.lock.decisions:
            self.remember(target, decision.row, decision.consumed, frozen, decision.verdict)

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
            # a failed answer or measurement is never remembered: the next eval asks the baseline again
            sound = self._records.answers.get(target.baseline.digest)
            digests = {case.id: case.input_digest for case in target.gate.cases}
            first = target.baseline.first_repeat
            lines += [
                BaselineScore(target.spec.feature, identity, c.case_id, c.case_digest, c.baseline)
                for c in consumed
                if c.baseline
                and not any(value is None for values in c.baseline.values() for value in values)
                and (digests.get(c.case_id, ""), first) in sound
            ]
        self.lock.merge(lines)
        self.lock.write(self.path)
