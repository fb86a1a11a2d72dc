"""What a contract can decide with the cases there are, before anything is run: ``shiftright check``.

Reads files and imports no code of the feature. It stays clear of numpy, which costs more time than all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from shiftright import datasets
from shiftright import spec as specs
from shiftright.core.counting import counted
from shiftright.core.spec import Check, Clause, Spec
from shiftright.datasets import Dataset
from shiftright.decisions import words
from shiftright.decisions.clauses import ClausePlan, plan_clause, resolvable, tested, units_needed
from shiftright.decisions.order import unit_sizes
from shiftright.decisions.units import Units
from shiftright.spec.checks import FUNCTION
from shiftright.usercode import outline
from shiftright.usercode.program import command_line

FEW_LABELS = 30


class ClauseOutlook(msgspec.Struct, frozen=True):
    """One clause and what ``cases`` independent cases (groups, where cases have them) can say of it.

    ``resolves`` is the smallest difference they tell apart and ``gap`` the one asked for (both in the tested quantity's
    unit), ``needed`` the cases (or groups) that takes; None for a clause that is held on every request or counted.
    ``enough`` is whether the cases there are suffice. ``line`` is where the check stands in the contract.
    """

    check: str
    clause: str
    target: str
    cases: int
    gap: float | None
    resolves: float | None
    needed: int | None
    enough: bool
    sentence: str
    line: int = 0


class Outlook(msgspec.Struct, frozen=True):
    """One valid contract. ``cases`` counts cases by split."""

    feature: str
    path: Path
    cases: dict[str, int]
    variants: tuple[str, ...]
    baseline: str | None
    checks: tuple[ClauseOutlook, ...]
    warnings: tuple[str, ...]


def outlook(path: Path) -> Outlook:
    """
    Raises:
        SpecError, DatasetError, PromptError: whatever is wrong, with file and line.
    """
    spec = specs.load(path)
    _require_code(spec)
    _require_scorers(spec)
    data = {split: datasets.load(file) for split, file in spec.cases.items()}
    gate = data.get("gate")
    units = Units.of(unit_sizes(gate.cases) if gate else ())
    return Outlook(
        feature=spec.feature,
        path=spec.path,
        cases={split: len(cases) for split, cases in data.items()},
        variants=tuple(spec.variants),
        baseline=spec.baseline,
        checks=tuple(_clauses(spec, units)),
        warnings=tuple(dict.fromkeys([*_warnings(spec, gate), *_said_by(data)])),
    )


def _clauses(spec: Spec, units: Units) -> Iterator[ClauseOutlook]:
    count = sum(len(tested(check)) for check in spec.checks)
    for check in spec.checks:
        for clause in check.clauses:
            if clause.enforced:
                yield _enforced(check, clause, units)
            else:
                plan = plan_clause(
                    check, clause, confidence=spec.confidence, clauses=count, units=max(units.n, 1)
                )
                yield _tested(check, clause, plan, units)


def _enforced(check: Check, clause: Clause, units: Units) -> ClauseOutlook:
    if clause.kind == "never_fails" and units.n:
        sentence = f"held on all {words.counted(units)} it would rule out failure {words.ruled_out(units)}"
    else:
        sentence = "held on every request: one beyond it counts as failed"
    return ClauseOutlook(
        check.name,
        clause.kind,
        words.target(check, clause),
        units.n,
        None,
        None,
        None,
        True,
        sentence,
        check.line,
    )


def _tested(check: Check, clause: Clause, plan: ClausePlan, units: Units) -> ClauseOutlook:
    scale = _scale(plan)
    needed, sees = units_needed(plan, share=units.share), resolvable(plan, units)
    enough = units.n >= needed if plan.kind == "p95_at_most" else units.n > 0 and sees <= plan.gap
    return ClauseOutlook(
        check=check.name,
        clause=clause.kind,
        target=words.target(check, clause),
        cases=units.n,
        gap=plan.gap * scale,
        resolves=sees * scale,
        needed=needed,
        enough=enough and provable(plan),
        sentence=sentence(plan, units),
        line=check.line,
    )


def sentence(plan: ClausePlan, units: Units) -> str:
    """What these independent units can say of a clause, and what it takes, in plain words."""
    if not provable(plan):
        return "can be disproven but never proven: add each_at_most, the limit that is held on each request"
    if not units.n:
        return "there are no gate cases"
    needed, sees = units_needed(plan, share=units.share), resolvable(plan, units)
    about, your, one = words.needed(needed), f"your {words.counted(units)}", units.n == 1
    if plan.kind == "p95_at_most":
        enough = "suffices" if one else "suffice"
        few = "is too few" if one else "are too few"
        return f"{your} {enough if units.n >= needed else few}: {about} prove it when all calls are in time"
    if sees <= plan.gap:
        return f"{your} {'suffices' if one else 'suffice'}: {words.gap(plan)} need {about}"
    return f"{words.resolve(plan, units, sees)}; {words.gap(plan)} need {about}"


def _scale(plan: ClausePlan) -> float:
    """From increments to USD or seconds."""
    return (plan.unit or 1.0) if plan.kind == "mean_at_most" else 1.0


def provable(plan: ClausePlan) -> bool:
    return plan.kind != "mean_at_most" or plan.unit > 0


def _warnings(spec: Spec, gate: Dataset | None) -> Iterator[str]:
    if gate is None:
        yield "there are no gate cases: add `gate:` under cases, or nothing can be decided"
    for check in spec.checks:
        if check.clause("mean_at_most") and not check.clause("each_at_most"):
            yield f"{check.name}: mean_at_most without each_at_most can be disproven but never proven"
        if check.score == "judge":
            yield from _judge(check)
    relative = any(clause.relative for check in spec.checks for clause in check.clauses)
    history = any((folder / ".git").exists() for folder in spec.path.resolve().parents)
    if relative and spec.baseline is None and not history:
        yield "a clause compares with the baseline, but the contract names none and there is no git history"
    if gate is not None:
        yield from _leaks(spec, gate)


def _judge(check: Check) -> Iterator[str]:
    file = check.params.get("labels")
    labels = 0
    if isinstance(file, str) and Path(file).is_file():
        labels = sum(1 for line in Path(file).read_bytes().splitlines() if line.strip())
    if labels < FEW_LABELS:
        found = f"only {counted(labels, 'human label')}" if labels else "no human label"
        verb = "stand" if labels > 1 else "stands"
        yield f"{check.name}: {found} {verb} behind this judge: the verdict is as this judge sees it"


def _leaks(spec: Spec, gate: Dataset) -> Iterator[str]:
    names = {v.get("prompt") for v in spec.variants.values()}
    for name in sorted(name for name in names if isinstance(name, str)):
        file = spec.root / name
        if file.is_file():
            leaked = datasets.leaks(file.read_text(encoding="utf-8", errors="replace"), gate.cases)
            if leaked:
                shown = ", ".join(case.id for case in leaked[:3])
                yield f"{name} contains the text of gate cases ({shown}): they test memory, not skill"


def _said_by(data: dict[str, Dataset]) -> Iterator[str]:
    for cases in data.values():
        for warning in cases.warnings:
            yield f"{cases.path.name}: {warning}"


def _require_code(spec: Spec) -> None:
    """Every ``module:function`` the contract runs is there, as far as its source tells, and every program.

    Raises:
        SpecError: with the line that names what is missing.
    """
    named = {spec.run, *(variant.run for variant in spec.variants.values())}
    for run in sorted(run for run in named if run is not None):
        if run.startswith(("http://", "https://", "recorded:")):
            continue
        if not FUNCTION.fullmatch(run):
            command_line(run, spec.root, file=spec.path, line=_line(spec, run))
            continue
        outline.require(run, spec.root, file=spec.path, line=_line(spec, run), feature=True)


def _require_scorers(spec: Spec) -> None:
    """Every ``score: module:name`` is there, beside the contract or installed, as far as its source tells.

    Raises:
        SpecError: with the check's line.
    """
    for check in spec.checks:
        if ":" in check.score:
            outline.require(check.score, spec.root, file=spec.path, line=check.line)


def _line(spec: Spec, run: str) -> int | None:
    lines = spec.path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((number for number, text in enumerate(lines, 1) if "run:" in text and run in text), None)
