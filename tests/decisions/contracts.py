"""Specs and cases for the decision tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shiftright.core.case import Case, digest_of
from shiftright.core.spec import Check, Clause, Confidence, Spec
from shiftright.decisions.units import CaseScores


def spec(*checks: Check, **keys: object) -> Spec:
    return Spec(feature="f", path=Path("spec.yaml"), checks=checks, **keys)  # type: ignore[arg-type]


def check(name: str, *clauses: Clause, score: str = "exact") -> Check:
    return Check(name, score, clauses=clauses)


def case(name: str, group: str | None = None, content: str = "") -> Case:
    return Case(
        name, input=name + content, group=group, input_digest=digest_of(name), digest=digest_of(name, content)
    )


def scores(
    name: str, candidate: float | None, baseline: float | None = None, check: str = "right"
) -> CaseScores:
    before = {} if baseline is None else {check: (baseline,)}
    return CaseScores(name, {check: (candidate,)}, before, unit=name)


def paired(values: Sequence[tuple[float, float]]) -> list[CaseScores]:
    return [scores(f"c{i}", candidate, baseline) for i, (candidate, baseline) in enumerate(values)]


CONFIDENCE = Confidence()
