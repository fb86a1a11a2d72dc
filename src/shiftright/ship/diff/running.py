"""``shiftright diff``: two sides, real inputs, one ModelDiff. What it costs is known before it begins."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from shiftright import datasets
from shiftright import spec as specs
from shiftright.core.case import Case, digest_of_cases
from shiftright.core.spec import Spec
from shiftright.core.verdict import Calls
from shiftright.decisions.lock import Lock
from shiftright.errors import CapReached, UsageError
from shiftright.evals.execution import Execution
from shiftright.evals.expected import ExpectedCost, expected_of
from shiftright.evals.options import Options, Progress, Quiet, Standing
from shiftright.evals.pool import OrderedPool
from shiftright.evals.target import Side, Target, scorers_of
from shiftright.evals.work import CaseRun
from shiftright.settings import Settings
from shiftright.ship.diff import inputs as real
from shiftright.ship.diff.describing import described
from shiftright.ship.diff.findings import ModelDiff
from shiftright.ship.diff.inputs import Inputs
from shiftright.ship.diff.replayed import Replayed
from shiftright.ship.diff.saving import Traffic, traffic
from shiftright.ship.diff.sides import party, side
from shiftright.store import Records
from shiftright.store.telemetry import TraceReader

KIND = "diff"


class Asked(msgspec.Struct, frozen=True):
    """What the command line says. ``traces`` is a span of time such as ``7d``; without it cases of ``split`` are
    replayed. ``since_ns`` is the same as nanoseconds since 1970."""

    feature: str
    old: str
    new: str
    split: str = "gate"
    traces: str | None = None
    since_ns: int | None = None
    limit: int | None = None

    @property
    def command(self) -> str:
        """What asks the same again."""
        words = ["shiftright", "diff", self.feature, "--from", self.old, "--to", self.new]
        words += ["--traces", self.traces] if self.traces else ["--cases", self.split]
        return " ".join(words + (["--limit", str(self.limit)] if self.limit else []))


class Prepared(msgspec.Struct, frozen=True):
    """A diff that can begin: both sides loaded, inputs read, nothing called. ``expected`` is what the calls that are
    not answered yet may cost; None where they cost nothing."""

    asked: Asked
    old: Side
    new: Side
    inputs: Inputs
    traffic: Traffic
    expected: ExpectedCost | None


def prepare(
    asked: Asked, settings: Settings, records: Records, telemetry: TraceReader | None, options: Options
) -> Prepared:
    """
    Raises:
        UsageError: for an unknown feature or side, the same side twice, or no inputs.
        SpecError, DatasetError: the contract or its cases cannot be used.
    """
    spec = specs.load(specs.find(asked.feature, settings.root))
    old, new = (
        side(name, spec, settings.root, settings.home, records.releases) for name in (asked.old, asked.new)
    )
    if old.digest == new.digest:
        raise UsageError(
            f"{asked.old} and {asked.new} are the same code and settings",
            hint=f"How far the same side differs from itself: shiftright aa {spec.feature}",
        )
    found = _inputs(asked, spec, records, telemetry)
    left = [(one.feature.variant, _unanswered(one, found.cases, records)) for one in (old, new)]
    return Prepared(asked, old, new, found, traffic(spec, telemetry), expected_of(left, options))


def _inputs(asked: Asked, spec: Spec, records: Records, telemetry: TraceReader | None) -> Inputs:
    if asked.traces is None:
        return real.of_cases(spec, asked.split, asked.limit)
    if telemetry is None:
        raise UsageError(
            "no traces have been recorded in this project yet",
            hint="Point a client at shiftright serve, or replay cases: --cases gate",
        )
    return real.of_traces(
        spec, telemetry, records, since=asked.traces, since_ns=asked.since_ns, limit=asked.limit
    )


def _unanswered(one: Side, cases: Sequence[Case], records: Records) -> list[Case]:
    known = records.answers.get(one.digest)
    return [case for case in cases if (case.input_digest, 0) not in known]


async def run(
    prepared: Prepared,
    records: Records,
    options: Options,
    progress: Progress | None = None,
) -> ModelDiff:
    """Replay every input on both sides, paired, and say what changed. Answers there are cost nothing, so the same call
    goes on where a cap or an interruption ended it.

    Raises:
        Error: what keeps calls from going on, as in an eval; a reached cap is no error but a note.
    """
    started, progress = time.monotonic(), progress or Quiet()
    target = _target(prepared)
    marks = {
        "kind": KIND,
        "from": prepared.asked.old,
        "to": prepared.asked.new,
        "command": prepared.asked.command,
    }
    execution = Execution(target, records, options, Lock(), marks=marks, live=prepared.inputs.live)
    progress.begin(
        target.spec.feature, prepared.new.name, prepared.old.name, (f"replaying {prepared.inputs.what}",)
    )
    with execution:
        try:
            runs, capped = await _replay(prepared.inputs, execution, progress)
        finally:
            progress.end()
        execution.done(None)
    notes = (*prepared.inputs.notes, *capped)
    spec, more = _scored(prepared.inputs, runs)
    found = described(
        _replayed(runs, prepared.inputs),
        spec,
        old=party(prepared.old),
        new=party(prepared.new),
        inputs=prepared.inputs.what,
        traffic=prepared.traffic,
        notes=(*notes, *more),
    )
    made = execution.calls
    return msgspec.structs.replace(
        found,
        calls=Calls(made.made, made.baseline_made, made.cached),
        cost_usd=execution.tally.cost_usd,
        seconds=time.monotonic() - started,
        run_id=execution.run_id,
        command=prepared.asked.command,
    )


async def _replay(
    inputs: Inputs, execution: Execution, progress: Progress
) -> tuple[list[CaseRun], list[str]]:
    """Both sides' answers to every input in order, and a sentence where a cap ended it."""
    runs: list[CaseRun] = []

    def use(found: Sequence[CaseRun]) -> bool:
        start = len(runs)
        runs.extend(found)
        if not inputs.live:
            rows = [one.run_case(execution.run_id, inputs.split, start + i) for i, one in enumerate(found)]
            execution.writer.add(cases=rows)
        calls, cost = execution.calls, execution.tally.cost_usd
        progress.step(Standing(len(runs), len(inputs.steps), calls, cost, ()))
        return False

    pool = OrderedPool(execution.work(), use, lambda one: None, concurrency=execution.concurrency)
    try:
        await pool.run(inputs.steps)
    except CapReached as cap:
        return runs, [f"{len(runs)} of {len(inputs.steps)} inputs were replayed: {cap}"]
    return runs, []


def _target(prepared: Prepared) -> Target:
    spec, cases = prepared.inputs.spec, prepared.inputs.cases
    built, digest = scorers_of(spec, prepared.new)
    data = datasets.Dataset(prepared.inputs.what, spec.path, tuple(cases), digest_of_cases(cases))
    return Target(spec, prepared.new, prepared.old, data, None, None, built, digest)


def _scored(inputs: Inputs, runs: Sequence[CaseRun]) -> tuple[Spec, list[str]]:
    """Of live inputs, without the checks that could not be measured on a single one: they need what a trace has not."""
    if not inputs.live or not runs:
        return inputs.spec, []
    told = [scores for run in runs for scores in (*run.baseline_scores, *run.candidate_scores)]
    lost = {
        check.name
        for check in inputs.spec.checks
        if (said := [scores[check.name] for scores in told if check.name in scores])
        and all(score.failure is not None for score in said)
    }
    kept = tuple(check for check in inputs.spec.checks if check.name not in lost)
    notes = [f"{name} could not be measured on any live input and is left out" for name in sorted(lost)]
    return msgspec.structs.replace(inputs.spec, checks=kept), notes


def _replayed(runs: Sequence[CaseRun], inputs: Inputs) -> list[Replayed]:
    """Whole groups: what a cap cut off of the last one does not count."""
    end = next((i for i in range(len(runs), 0, -1) if runs[i - 1].closes), 0)
    return [
        Replayed(
            case=run.case,
            unit=run.unit,
            closes=run.closes,
            old=run.baseline[0].answer,
            new=run.candidate[0].answer,
            old_scores=run.baseline_scores[0],
            new_scores=run.candidate_scores[0],
            liked=inputs.liked.get(run.case.id),
        )
        for run in runs[:end]
    ]
