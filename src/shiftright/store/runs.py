"""Runs and their cases: what `runs`, `show` and `report` read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from shiftright.core.verdict import Verdict
from shiftright.errors import StoreError, UsageError
from shiftright.store import schema
from shiftright.store.codec import (
    decode_ids,
    decode_object,
    decode_scores,
    decode_verdict,
    encode,
)
from shiftright.store.database import Database
from shiftright.store.ids import sortable_id
from shiftright.store.leases import is_gone, new_holder
from shiftright.store.rows import RunCase, RunRow, RunStatus

_runs = schema.runs.c
_cases = schema.run_cases.c
_leases = schema.leases.c
_PAGE = 1_000


class Runs:
    """EvalRuns, newest last in id order whatever the clock did."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = database.insertion(schema.runs)
        self._insert_cases = database.insertion(schema.run_cases)

    def new_id(self) -> str:
        """An id for the next run; it sorts after every run there is."""
        with self._database.read() as connection:
            return sortable_id("r", connection.execute(sa.select(sa.func.max(_runs.id))).scalar())

    def start(self, run: RunRow) -> None:
        row = _to_row(run)
        with self._database.write() as connection:
            self._insert(connection, [row])
            process = {"name": _process_of(run.id), "holder": new_holder(), "seconds": 0.0, "renewals": 0}
            connection.execute(sa.insert(schema.leases).values(process))

    def finish(
        self,
        run_id: str,
        *,
        status: RunStatus,
        ended_at: float,
        verdict: Verdict | None = None,
        made: int = 0,
        baseline_made: int = 0,
        cached: int = 0,
        cost_usd: float | None = 0.0,
    ) -> None:
        """How the run ended.

        Raises:
            StoreError: when the run was never started.
        """
        values = {
            "status": status,
            "ended_at": ended_at,
            "verdict": None if verdict is None else encode(verdict),
            "made": made,
            "baseline_made": baseline_made,
            "cached": cached,
            "cost_usd": cost_usd,
        }
        with self._database.write() as connection:
            done = connection.execute(sa.update(schema.runs).where(_runs.id == run_id).values(values))
            if done.rowcount != 1:
                raise StoreError(f"run {run_id} cannot be finished: it is not in the records")
            connection.execute(sa.delete(schema.leases).where(_leases.name == _process_of(run_id)))

    def get(self, run_id: str) -> RunRow:
        """The run with this id, or the only one whose id begins with it.

        Raises:
            UsageError: for none or several, with the ids that come near.
        """
        prefix = _runs.id.startswith(run_id, autoescape=True)
        with self._database.read() as connection:
            rows = connection.execute(sa.select(schema.runs).where(prefix).order_by(_runs.id).limit(6)).all()
            exact = [row for row in rows if row.id == run_id]
            if len(rows) == 1 or exact:
                return _read(connection, (exact or rows)[:1])[0]
            if rows:
                ids = ", ".join(row.id for row in rows)
                raise UsageError(f"several runs begin with {run_id!r}", hint=f"Add letters: {ids}")
            newest = sa.select(_runs.id).order_by(_runs.id.desc()).limit(1_000)
            latest = connection.execute(newest).scalars().all()
        near = difflib.get_close_matches(run_id, latest, n=3, cutoff=0.5) or latest[:3]
        hint = f"Near: {', '.join(near)}." if near else "There are no runs yet: shiftright eval FEATURE"
        raise UsageError(f"there is no run {run_id!r}", hint=hint)

    def list(
        self, feature: str | None = None, *, limit: int = 20, cursor: str | None = None
    ) -> Sequence[RunRow]:
        """The newest runs first; those older than ``cursor``, the id of the last one seen."""
        statement = sa.select(schema.runs).order_by(_runs.id.desc()).limit(limit)
        if feature is not None:
            statement = statement.where(_runs.feature == feature)
        if cursor is not None:
            statement = statement.where(_runs.id < cursor)
        with self._database.read() as connection:
            return _read(connection, connection.execute(statement).all())

    def features(self) -> Sequence[str]:
        """The names of features that have runs."""
        with self._database.read() as connection:
            return (
                connection.execute(sa.select(_runs.feature).distinct().order_by(_runs.feature))
                .scalars()
                .all()
            )

    def add_cases(self, cases: Iterable[RunCase]) -> None:
        """All of them in one transaction."""
        rows = case_rows(cases)
        with self._database.write() as connection:
            self.add_case_rows(connection, rows)

    def cases(self, run_id: str) -> Iterator[RunCase]:
        """The cases of a run by split and position, read by pages: a slow reader holds up nobody."""
        statement = (
            sa.select(schema.run_cases)
            .where(
                _cases.run_id == run_id,
                sa.tuple_(_cases.split, _cases.position) > sa.tuple_(sa.bindparam("s"), sa.bindparam("p")),
            )
            .order_by(_cases.split, _cases.position)
            .limit(_PAGE)
        )
        after = {"s": "", "p": -1}
        while True:
            with self._database.read() as connection:
                page = [_from_case_row(row) for row in connection.execute(statement, after)]
            yield from page
            if len(page) < _PAGE:
                return
            after = {"s": page[-1].split, "p": page[-1].position}

    def add_case_rows(self, connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """The transaction part of ``add_cases``, for a flush of several tables (see ``case_rows``)."""
        self._insert_cases(connection, rows)


def case_rows(cases: Iterable[RunCase]) -> list[tuple[Any, ...]]:
    return [_to_case_row(case) for case in cases]


def _read(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> list[RunRow]:
    """The rows; a run without an end is interrupted when its process is gone or has lost the decision's lease."""
    runs = [_from_row(row) for row in rows]
    names = [
        name for run in runs if run.status == "running" for name in (_process_of(run.id), _lease_of(run))
    ]
    if not names:
        return runs
    held = sa.select(_leases.name, _leases.holder).where(_leases.name.in_(names))
    holders = {row.name: row.holder for row in connection.execute(held)}
    return [
        msgspec.structs.replace(run, status="interrupted")
        if run.status == "running" and not _is_alive(run, holders)
        else run
        for run in runs
    ]


def _is_alive(run: RunRow, holders: dict[str, str]) -> bool:
    process = holders.get(_process_of(run.id))
    if process is None or is_gone(process):
        return False
    # two holders of one process differ in their last part
    lease = holders.get(_lease_of(run), "")
    return run.decision_id is None or lease.rpartition("/")[0] == process.rpartition("/")[0]


def _process_of(run_id: str) -> str:
    """The lease that says which process runs it. It is never renewed: it only names the process."""
    return f"run/{run_id}"


def _lease_of(run: RunRow) -> str:
    return f"decision/{run.decision_id}"


def _to_row(run: RunRow) -> tuple[Any, ...]:
    return (
        run.id,
        run.feature,
        run.variant,
        run.baseline,
        run.variant_digest,
        run.baseline_digest,
        run.dataset_digest,
        run.decision_id,
        run.status,
        None if run.verdict is None else encode(run.verdict),
        encode(run.options),
        run.seed,
        run.started_at,
        run.ended_at,
        run.made,
        run.baseline_made,
        run.cached,
        run.cost_usd,
    )


def _from_row(row: sa.Row[Any]) -> RunRow:
    fields = dict(row._mapping)
    fields["verdict"] = None if row.verdict is None else decode_verdict(row.verdict)
    fields["options"] = decode_object(row.options)
    return RunRow(**fields)


def _to_case_row(case: RunCase) -> tuple[Any, ...]:
    return (
        case.run_id,
        case.split,
        case.position,
        case.case_id,
        case.case_digest,
        encode(case.candidate),
        encode(case.baseline),
        encode(case.candidate_scores),
        encode(case.baseline_scores),
    )


def _from_case_row(row: Any) -> RunCase:
    (
        run_id, split, position, case_id, case_digest, candidate, baseline, candidate_scores, baseline_scores,
    ) = row  # fmt: skip
    return RunCase(
        run_id=run_id,
        split=split,
        position=position,
        case_id=case_id,
        case_digest=case_digest,
        candidate=decode_ids(candidate),
        baseline=decode_ids(baseline),
        candidate_scores=decode_scores(candidate_scores),
        baseline_scores=decode_scores(baseline_scores),
    )
