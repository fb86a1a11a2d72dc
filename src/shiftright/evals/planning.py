"""The planning sample: dev cases on which the baseline runs twice. It shapes bets and caps, never an error rate."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import msgspec

from shiftright import datasets
from shiftright import spec as specs
from shiftright.core.score import Score
from shiftright.core.spec import Spec
from shiftright.core.verdict import Calls
from shiftright.decisions.clauses import ClausePlan, resolvable, units_needed
from shiftright.decisions.order import arrange, unit_sizes
from shiftright.decisions.units import CaseScores, Units, Values
from shiftright.evals.execution import Execution
from shiftright.evals.freeze import SMALLEST_PLANNING_SAMPLE, plans
from shiftright.evals.history import History
from shiftright.evals.options import Options, Progress, Quiet, Standing
from shiftright.evals.outlook import provable, sentence
from shiftright.evals.pool import OrderedPool
from shiftright.evals.target import Target, resolve
from shiftright.evals.work import CaseRun
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.store.rows import RunCase

# Enough for a variance within a fifth; more would be paid for nothing.
LARGEST_PLANNING_SAMPLE = 120
PLANNED_FOR = "planned_for"


class PlannedClause(msgspec.Struct, frozen=True):
    """One clause's plan. Calls are cases on which the candidate runs; ``needed`` are the independent units that the cap
    asks for where the suite is smaller (None: it suffices), and ``sentence`` says it. "Equal" is at the good boundary;
    for a 95 % limit, all calls in time. All None for a mean without a limit on each request: it cannot be proven."""

    plan: ClausePlan
    expected_if_equal: float | None
    expected_if_bad: float | None
    expected_midway: float | None
    limit_if_equal: float | None
    fixed_sample: int | None
    resolvable: float | None
    needed: int | None
    sentence: str


class FeaturePlan(msgspec.Struct, frozen=True):
    """What a decision will take. ``variants`` are what there is to decide on (the one named, else all but the
    baseline; none where the feature has no variants). ``sample`` is the size of the planning sample (0: variances are
    assumed); ``cost_per_call_usd`` is the mean of the sample's calls."""

    feature: str
    baseline: str | None
    variants: tuple[str, ...]
    cases: int
    units: int
    sample: int
    clauses: tuple[PlannedClause, ...]
    cost_per_call_usd: float | None
    calls: Calls
    run_id: str | None


def known_reruns(target: Target, records: Records) -> list[CaseScores]:
    """The newest planning sample of this very baseline and these scorers; empty when there is none."""
    if target.baseline is None:
        return []
    identity = target.baseline_identity
    for run in records.runs.list(target.spec.feature, limit=500):
        if run.options.get(PLANNED_FOR) == identity and run.status == "done":
            return [_reruns(case) for case in records.runs.cases(run.id)]
    return []


def _reruns(case: RunCase) -> CaseScores:
    def values(scores: dict[str, tuple[Score, ...]]) -> dict[str, Values]:
        return {name: tuple(score.value for score in repeats) for name, repeats in scores.items()}

    return CaseScores(case.case_id, values(case.candidate_scores), values(case.baseline_scores), case.case_id)


async def plan_feature(
    feature: str,
    settings: Settings,
    records: Records,
    options: Options | None = None,
    progress: Progress | None = None,
) -> FeaturePlan:
    """Run the baseline twice on the dev cases (what is in the records is not run again) and plan every clause.

    Without dev cases or a baseline nothing is run and variances are assumed.

    Raises:
        Error: as ``evaluate`` does.
    """
    options = options or Options()
    spec = specs.load(specs.find(feature, settings.root))
    # a plan is about the baseline: any variant may be the candidate
    variant = options.variant or options.baseline or spec.baseline
    loaded = resolve(
        feature,
        settings.root,
        settings.home,
        variant=variant,
        baseline=options.baseline,
        releases=records.releases,
    )
    target = History(settings.root, records).current(loaded)
    calls, run_id, cost = Calls(), None, None
    reruns = known_reruns(target, records)
    if not reruns and target.dev is not None and target.baseline is not None:
        calls, run_id, cost = await _run_twice(target, settings, records, options, progress or Quiet())
        reruns = known_reruns(target, records)
    units = Units.of(unit_sizes(target.gate.cases))
    made = [planned(plan, units) for plan in plans(target.spec, units.n, reruns=reruns)]
    return FeaturePlan(
        feature=target.spec.feature,
        baseline=target.baseline.name if target.baseline else None,
        variants=_to_decide(spec, options),
        cases=len(target.gate),
        units=units.n,
        sample=len(reruns) if len(reruns) >= SMALLEST_PLANNING_SAMPLE else 0,
        clauses=tuple(made),
        cost_per_call_usd=cost,
        calls=calls,
        run_id=run_id,
    )


def _to_decide(spec: Spec, options: Options) -> tuple[str, ...]:
    if options.variant or not spec.variants:
        return (options.variant,) if options.variant else ()
    others = [name for name in spec.variants if name != (options.baseline or spec.baseline)]
    return tuple(others or spec.variants)


def planned(clause: ClausePlan, units: Units) -> PlannedClause:
    """Expected cost of one clause, by simulating the exact test on the planning sample (or an assumed law)."""
    from shiftright.stats import plan as simulate

    said, size = sentence(clause, units), units.cases / max(units.n, 1)
    if not provable(clause):
        return PlannedClause(clause, None, None, None, None, None, None, None, said)
    sample = clause.planning or assumed_law(clause)
    found = simulate(
        sample,
        bad=clause.bad,
        good=clause.good,
        alpha=clause.alpha,
        beta=clause.beta,
        low=clause.low,
        high=clause.high,
    )
    wanted = units_needed(clause, share=units.share)
    in_time = clause.kind == "p95_at_most"
    return PlannedClause(
        plan=clause,
        expected_if_equal=size * (wanted if in_time else found.expected_calls["good"]),
        expected_if_bad=size * found.expected_calls["bad"],
        expected_midway=size * found.expected_calls["middle"],
        limit_if_equal=None if in_time else size * 3.81 * clause.variance / clause.gap**2,
        fixed_sample=None if clause.fixed_n is None else ceil(size * clause.fixed_n),
        resolvable=None if in_time else resolvable(clause, units),
        needed=wanted if wanted > units.n else None,
        sentence=said,
    )


def assumed_law(clause: ClausePlan) -> Sequence[float]:
    """A hundred increments with the assumed variance: three points at the ends and the middle of the scale."""
    centre = min(max((clause.bad + clause.good) / 2, clause.low), clause.high)
    if clause.kind in ("max_drop", "min_gain"):
        flips = round(50 * clause.variance)
        return [-1.0] * flips + [1.0] * flips + [0.0] * (100 - 2 * flips)
    share = (centre - clause.low) / (clause.high - clause.low)
    tops = round(100 * share)
    return [clause.high] * tops + [clause.low] * (100 - tops)


async def _run_twice(
    target: Target, settings: Settings, records: Records, options: Options, progress: Progress
) -> tuple[Calls, str, float | None]:
    assert target.baseline is not None
    assert target.dev is not None
    cases = datasets.load(target.dev).cases
    steps = arrange(cases, seed=0).rest[:LARGEST_PLANNING_SAMPLE]
    as_candidate = msgspec.structs.replace(target, candidate=target.baseline)
    marks = {PLANNED_FOR: target.baseline_identity}
    execution = Execution(
        as_candidate,
        records,
        options,
        History(settings.root, records).lock,
        marks=marks,
        first_repeat=target.baseline.first_repeat + 1,
    )
    progress.begin(
        target.spec.feature, target.baseline.name, None, ("planning: the baseline runs twice on dev cases",)
    )
    with execution:
        done = 0

        def use(runs: Sequence[CaseRun]) -> bool:
            nonlocal done
            execution.writer.add(
                cases=[run.run_case(execution.run_id, "dev", done + i) for i, run in enumerate(runs)]
            )
            done += len(runs)
            progress.step(Standing(done, len(steps), execution.calls, execution.tally.cost_usd, ()))
            return False

        try:
            await OrderedPool(execution.work(), use, lambda run: None, concurrency=execution.concurrency).run(
                steps
            )
        finally:
            progress.end()
        execution.done(None)
    made = execution.calls.made + execution.calls.baseline_made
    cost = execution.tally.cost_usd
    return execution.calls, execution.run_id, cost / made if cost is not None and made else None
