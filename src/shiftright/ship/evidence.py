"""What has been decided about a variant as it stands: the ledger's verdict with its rows, its runs, data and cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from shiftright.core.verdict import Calls, Verdict
from shiftright.decisions.ledger import Lineage, generation
from shiftright.evals.history import History
from shiftright.evals.target import Target
from shiftright.store import Records
from shiftright.store.rows import DecisionRow, RunRow

_ENOUGH_RUNS = 10_000


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One decision on the gate cases there are. ``verdict`` is None while no run has come to its end.

    ``gate`` and ``must`` are digests of the cases; ``baseline_digest`` is the code compared with. ``must_passed`` says
    whether the ``must`` cases of the verdict are those there are now. ``calls`` and ``cost_usd`` (None where a price is
    unknown) add up over ``runs``, those of this decision on this machine or its shared records.
    """

    decision: str
    attempt: int
    baseline: str | None
    baseline_digest: str | None
    gate: str
    must: str | None
    must_passed: bool
    verdict: Verdict | None
    cases: int
    runs: tuple[str, ...]
    calls: Calls
    cost_usd: float | None


def evidence_of(target: Target, root: Path, records: Records) -> Evidence | None:
    """The decision about exactly this code, contract, scorers and gate data: against the target's baseline, else
    against another one; None where nobody has evaluated it. Only decisions about the population count: one about a
    suite says nothing of what users will ask."""
    subject = msgspec.to_builtins(target.subject("population"))
    known = (entry for entry in History(root, records).book(target.spec.feature).rows)
    about = [
        entry
        for entry in known
        if all(entry[0].parts.get(key) == subject[key] for key in _SAME)
        and entry[0].parts.get("estimand") == "population"
    ]
    against = [entry for entry in about if entry[0].parts.get("baseline") == subject["baseline"]]
    lineage = Lineage(target.gate.cases)
    # a baseline's newer answers set aside what was decided on its older ones
    newest = max((generation(row) for row, _ in against), default=0)
    found = lineage.latest(e for e in against if generation(e[0]) == newest)
    found = found or max(
        (entry for entry in about if lineage.continues(entry)), key=lambda e: e[0].id, default=None
    )
    if found is None:
        return None
    row, consumed = found
    return _evidence(target, row, len(consumed), records)


_SAME = ("candidate", "clauses", "scorers")


def _evidence(target: Target, row: DecisionRow, cases: int, records: Records) -> Evidence:
    runs = [
        run
        for run in records.runs.list(row.feature, limit=_ENOUGH_RUNS)
        if run.decision_id == row.id and run.status == "done"
    ]
    must = target.must.digest if target.must else None
    verdict, passed = row.verdict, row.frozen.get("must") == must
    newest = next(iter(runs), None)
    if newest is not None and newest.verdict is not None and (verdict is None or not passed):
        # undecided, or the must cases have changed since: the newest run says how it stands
        verdict, passed = newest.verdict, passed or _covers(target, newest, records)
    costs = [run.cost_usd for run in runs]
    return Evidence(
        decision=row.id,
        attempt=row.attempt,
        baseline=row.baseline,
        baseline_digest=_text(row.parts.get("baseline")),
        gate=target.gate.digest,
        must=must,
        must_passed=passed,
        verdict=verdict,
        cases=cases,
        runs=tuple(run.id for run in reversed(runs)),
        calls=Calls(
            sum(run.made for run in runs),
            sum(run.baseline_made for run in runs),
            sum(run.cached for run in runs),
        ),
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
    )


def _covers(target: Target, run: RunRow, records: Records) -> bool:
    """Were all ``must`` cases there are now in this run, unchanged?"""
    if target.must is None:
        return True
    used = {case.case_digest for case in records.runs.cases(run.id) if case.split == "must"}
    return all(case.digest in used for case in target.must.cases)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
