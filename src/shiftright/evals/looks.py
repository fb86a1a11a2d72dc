"""A look at some cases: everything is run, scored and kept, nothing is decided (``--limit``, ``--tag``, ``--case``)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from shiftright.core.case import Case
from shiftright.core.counting import counted
from shiftright.core.verdict import CheckRow
from shiftright.decisions.contract import ContractTest
from shiftright.decisions.order import arrange
from shiftright.errors import UsageError
from shiftright.evals.execution import Execution
from shiftright.evals.freeze import freeze
from shiftright.evals.history import History
from shiftright.evals.options import Look, Options, Progress, Quiet, Selection, Standing
from shiftright.evals.pool import OrderedPool
from shiftright.evals.target import Target, resolve
from shiftright.evals.work import CaseRun
from shiftright.settings import Settings
from shiftright.store import Records


async def look(
    feature: str,
    settings: Settings,
    records: Records,
    selection: Selection,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Look:
    """Run the selected gate cases. The rows show estimates and intervals; no verdict is given or stored.

    Raises:
        UsageError: when no case matches.
        Error: as ``evaluate`` does; a reached cap ends the look with what there is.
    """
    options, progress = options or Options(), progress or Quiet()
    history = History(settings.root, records)
    named = {"variant": options.variant, "baseline": options.baseline}
    target = history.current(
        resolve(feature, settings.root, settings.home, releases=records.releases, **named)
    )
    cases = select(target, selection)
    started = time.monotonic()
    execution = Execution(target, records, options, history.lock)
    contract = ContractTest(target.spec, freeze(target.spec, cases, attempt=1, seed=0))
    base = target.baseline.name if target.baseline else None
    progress.begin(
        target.spec.feature, target.candidate.name, base, ("a look at some cases: nothing is decided",)
    )
    with execution:

        def use(runs: Sequence[CaseRun]) -> bool:
            start = contract.cases
            contract.add([run.evidence() for run in runs])
            execution.writer.add(
                cases=[run.run_case(execution.run_id, "gate", start + i) for i, run in enumerate(runs)]
            )
            progress.step(Standing(contract.cases, len(cases), execution.calls, execution.tally.cost_usd, ()))
            return False

        try:
            steps = arrange(cases, seed=0).rest
            await OrderedPool(execution.work(), use, lambda run: None, concurrency=execution.concurrency).run(
                steps
            )
        finally:
            progress.end()
        execution.done(None)
    return Look(
        feature=target.spec.feature,
        variant=target.candidate.name,
        baseline=base,
        checks=tuple(_without_verdict(row) for row in contract.verdict().checks),
        cases=contract.cases,
        calls=execution.calls,
        cost_usd=execution.tally.cost_usd,
        seconds=time.monotonic() - started,
        run_id=execution.run_id,
    )


def select(target: Target, selection: Selection) -> list[Case]:
    """The gate (and ``must``) cases a selection means, in file order.

    Raises:
        UsageError: when there is none.
    """
    cases = [*target.gate.cases, *(target.must.cases if target.must and selection.case_id else ())]
    if selection.case_id is not None:
        cases = [case for case in cases if case.id == selection.case_id]
    if selection.tag is not None:
        cases = [case for case in cases if selection.tag in case.tags]
    if selection.limit is not None:
        cases = cases[: selection.limit]
    if not cases:
        tags = sorted({tag for case in target.gate.cases for tag in case.tags})
        shown = f" Tags: {', '.join(tags[:12])}." if tags else ""
        raise UsageError(
            "no case matches", hint=f"{target.gate.path} has {counted(len(target.gate))}.{shown}"
        )
    return cases


def _without_verdict(row: CheckRow) -> CheckRow:
    return msgspec.structs.replace(row, verdict="inconclusive", reason="a look decides nothing")
