"""Everything a report shows of one stored run, as data: read from the records, the contract and its cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from shiftright import datasets
from shiftright import spec as specs
from shiftright.core.case import Case
from shiftright.core.spec import Spec
from shiftright.core.verdict import Calls, CheckRow, Verdict
from shiftright.datasets import sealed
from shiftright.errors import Error
from shiftright.evals.report.changes import CaseView, Values, views
from shiftright.evals.report.evidence import Trajectory, retrace
from shiftright.evals.report.figures import SideFigures, figures
from shiftright.evals.report.slices import SliceRow, slices
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.store.rows import DecisionRow, RunCase, RunRow, StoredAnswer

RECENT_RUNS = 500


class RunReport(msgspec.Struct, frozen=True):
    """One run. ``verdict`` is None for a look, and for a run that was stopped before a verdict.

    ``rows`` are the verdict's rows. ``cases`` are all cases the decision has used (also by an earlier run that this one
    resumed), ``must`` cases first. ``judges`` says per judge how many human labels stand behind it. ``gone`` says what
    could not be read any more.
    """

    run: RunRow
    verdict: Verdict | None
    rows: tuple[CheckRow, ...]
    cases: tuple[CaseView, ...]
    slices: tuple[SliceRow, ...]
    evidence: tuple[Trajectory, ...]
    candidate: SideFigures
    baseline: SideFigures | None
    calls: Calls
    judges: tuple[str, ...]
    attempt: int
    estimand: str
    spec_digest: str | None
    command: str
    gone: tuple[str, ...]

    @property
    def broke(self) -> list[CaseView]:
        """Cases the baseline passes and the variant does not; failed ``must`` cases first."""
        return [case for case in self.cases if case.change == "broke"]

    @property
    def fixed(self) -> list[CaseView]:
        return [case for case in self.cases if case.change == "fixed"]


def gather(run_id: str, settings: Settings, records: Records) -> RunReport:
    """
    Args:
        run_id: an id, or the beginning of one; a decision's id means its last run.

    Raises:
        UsageError: for an unknown run.
    """
    run = _run(run_id, records)
    decision = records.ledger.get(run.decision_id) if run.decision_id else None
    gone: list[str] = []
    spec = _spec(run, settings, gone)
    known = _known_cases(spec, gone)
    gone += [f"{split}: the cases are sealed; what they say is not shown" for split in _sealed(spec)]
    rows = _cases(run, records)
    answers = _answers(rows, records)
    values = _baseline_values(decision, records)
    readable = {split: {k: c for k, c in cases.items() if not c.sealed} for split, cases in known.items()}
    cases = list(views(rows, readable, answers, values, spec))
    verdict = run.verdict
    retraced = retrace(decision, spec, known.get("gate", {}), records)
    calls = Calls(run.made, run.baseline_made, run.cached, retraced.fixed_sample, retraced.limit)
    return RunReport(
        run=run,
        verdict=verdict,
        rows=verdict.checks if verdict else (),
        cases=tuple(cases),
        slices=tuple(slices(cases, spec)),
        evidence=retraced.trajectories,
        candidate=figures(run.variant, run.variant_digest, (a for c in cases for a in c.candidate)),
        baseline=figures(run.baseline, run.baseline_digest or "", (a for c in cases for a in c.baseline))
        if run.baseline
        else None,
        calls=calls,
        judges=tuple(_judges(spec)),
        attempt=decision.attempt if decision else 1,
        estimand=decision.estimand if decision else "",
        spec_digest=spec.digest if spec else None,
        command=command(run),
        gone=tuple(gone),
    )


def command(run: RunRow) -> str:
    """What repeats this run."""
    words = ["shiftright", "eval", run.feature]
    if run.options.get("variant"):
        words += ["--variant", str(run.options["variant"])]
    if run.options.get("baseline"):
        words += ["--baseline", str(run.options["baseline"])]
    if (run.options.get("repeats") or 1) != 1:
        words += ["--repeats", str(run.options["repeats"])]
    if run.options.get("suite_mode"):
        words.append("--suite-mode")
    return " ".join(words)


def _run(run_id: str, records: Records) -> RunRow:
    if not run_id.startswith("d-"):
        return records.runs.get(run_id)
    decision = records.ledger.get(run_id)
    if decision is not None:
        for run in records.runs.list(decision.feature, limit=RECENT_RUNS):
            if run.decision_id == run_id:
                return run
    return records.runs.get(run_id)


def _spec(run: RunRow, settings: Settings, gone: list[str]) -> Spec | None:
    try:
        return specs.load(specs.find(run.feature, settings.root))
    except Error as error:
        gone.append(f"the contract cannot be read any more: {error.message}")
        return None


def _known_cases(spec: Spec | None, gone: list[str]) -> dict[str, dict[str, Case]]:
    found: dict[str, dict[str, Case]] = {}
    for split, path in (spec.cases if spec else {}).items():
        try:
            found[split] = {case.id: case for case in datasets.load(path)}
        except Error as error:
            gone.append(f"{Path(path).name} cannot be read any more: {error.message}")
    return found


def _sealed(spec: Spec | None) -> list[str]:
    return [split for split, path in (spec.cases if spec else {}).items() if path.suffix == sealed.SUFFIX]


def _cases(run: RunRow, records: Records) -> list[RunCase]:
    """Of the run, and of earlier runs of its decision where it resumed one; the latest of each case."""
    ids = [run.id]
    if run.decision_id is not None:
        ids += [
            other.id
            for other in records.runs.list(run.feature, limit=RECENT_RUNS)
            if other.decision_id == run.decision_id and other.id < run.id
        ]
    found: dict[tuple[str, str], RunCase] = {}
    for run_id in ids:
        for case in records.runs.cases(run_id):
            found.setdefault((case.split, case.case_id), case)
    return sorted(found.values(), key=lambda case: (case.split != "must", case.position))


def _answers(rows: Iterable[RunCase], records: Records) -> dict[str, StoredAnswer]:
    ids = {answer for row in rows for answer in (*row.candidate, *row.baseline)}
    return records.answers.by_ids(ids) if ids else {}


def _baseline_values(decision: DecisionRow | None, records: Records) -> Mapping[str, Mapping[str, Values]]:
    """Per case what the baseline scored: known from the lock too, where no answer of it is here."""
    if decision is None:
        return {}
    return {row.case_id: row.baseline for row in records.ledger.consumed(decision.id)}


def _judges(spec: Spec | None) -> Iterable[str]:
    for check in spec.checks if spec else ():
        if check.score == "judge":
            file = check.params.get("labels")
            labels = 0
            if isinstance(file, str) and Path(file).is_file():
                labels = sum(1 for line in Path(file).read_bytes().splitlines() if line.strip())
            yield f"{check.name}: as this judge sees it; human labels: {labels}"
