"""From replayed inputs to a ModelDiff: pure, whatever the inputs are from."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shiftright.core.spec import Spec
from shiftright.core.verdict import Verdict
from shiftright.datasets.result_files import ResultRow
from shiftright.evals.compare.advisory import amount, amounts, levels, slices
from shiftright.evals.compare.findings import Amount, Level
from shiftright.evals.compare.metrics import Metrics, measure
from shiftright.evals.compare.pairing import Pair
from shiftright.ship.diff.behaviours import behaviours
from shiftright.ship.diff.findings import Heard, ModelDiff, Party
from shiftright.ship.diff.judging import judged
from shiftright.ship.diff.measures import Both, measures
from shiftright.ship.diff.replayed import Replayed, as_pairs, scales
from shiftright.ship.diff.saving import Traffic, saving
from shiftright.ship.diff.text.language import language
from shiftright.ship.diff.traits import traits
from shiftright.ship.diff.words import recommendation
from shiftright.tracing.exchange import text_of

DISLIKED = 0.5
_A_MOMENT_S = 0.01


def described(
    replayed: Sequence[Replayed],
    spec: Spec,
    *,
    old: Party,
    new: Party,
    inputs: str,
    traffic: Traffic,
    notes: Sequence[str] = (),
) -> ModelDiff:
    """
    Args:
        replayed: in the order of the test, groups whole.
        spec: the contract with the checks that these inputs can be scored on.
        inputs: what they are, in words.
    """
    verdict = judged(spec, replayed) if replayed else Verdict("inconclusive", "yes", ())
    both: list[Both] = [(traits(one.old), traits(one.new)) for one in replayed]
    asked = [language(text_of(one.case.value)) for one in replayed]
    pairs = as_pairs(replayed, spec)
    found = _measured(pairs, spec)
    spent = amounts(pairs) if pairs else ()
    length = amount(pairs, "length", "characters", _length)
    spread = tuple(item for item in (*spent, *([length] if length else [])) if _told(item))
    parts = slices(pairs, found.measured)
    groups, unchanged = behaviours(replayed, both, spec)
    beside = measures(replayed, both, asked)
    worth = saving(spent, traffic)
    return ModelDiff(
        feature=spec.feature,
        old=old,
        new=new,
        inputs=inputs,
        cases=len(replayed),
        units=len({one.unit for one in replayed}),
        verdict=verdict.verdict,
        merge=verdict.merge,
        reasons=verdict.reasons,
        recommendation=recommendation(
            old.name,
            new.name,
            verdict,
            confidence=spec.confidence,
            measures=beside,
            amounts=spread,
            slices=parts,
            behaviours=groups,
            saving=worth,
        ),
        checks=verdict.checks,
        measures=beside,
        amounts=spread,
        levels=_levels(found, spec),
        slices=parts,
        behaviours=groups,
        unchanged=unchanged,
        saving=worth,
        feedback=_heard(replayed, {id_ for group in groups for id_ in group.cases}),
        notes=(*notes, *found.notes),
    )


def _measured(pairs: Sequence[Pair], spec: Spec) -> Metrics:
    declared = scales(spec)
    if not declared or not any(row.scores for pair in pairs for row in pair.rows):
        return Metrics((), ())
    there = {name for pair in pairs for row in pair.rows for name in row.scores}
    return measure(pairs, metric=None, scales={k: v for k, v in declared.items() if k in there})


def _levels(found: Metrics, spec: Spec) -> tuple[Level, ...]:
    """As the contract counts them: of a check with ``at_most``, less is better."""
    turned = {name for name, (worst, best) in scales(spec).items() if worst > best}
    return tuple(
        Level(level.metric, 1.0 - level.old, 1.0 - level.new, level.n) if level.metric in turned else level
        for level in levels(found.measured)
    )


def _told(item: Amount) -> bool:
    """Recorded answers take no time and cost nothing: there is nothing to compare."""
    return max(item.old, item.new) >= (_A_MOMENT_S if item.name == "latency" else 1e-12)


def _length(row: ResultRow) -> float | None:
    """Characters of the whole answer, data as JSON."""
    if row.output is None:
        return None
    return float(len(row.output if isinstance(row.output, str) else msgspec.json.encode(row.output).decode()))


def _heard(replayed: Sequence[Replayed], changed: set[str]) -> Heard | None:
    said = [one for one in replayed if one.liked is not None]
    if not said:
        return None
    disliked = [one for one in said if one.liked is not None and one.liked < DISLIKED]
    return Heard(
        traces=len(said),
        liked=sum(one.liked or 0.0 for one in said) / len(said),
        disliked=len(disliked),
        disliked_changed=sum(one.case.id in changed for one in disliked),
    )
