"""The verdict per check: the contract's own tests, the new side against the old, on all inputs there are."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shiftright.core.spec import Check, Clause, Spec
from shiftright.core.verdict import Verdict
from shiftright.decisions.contract import ContractTest
from shiftright.decisions.units import CaseScores, Values
from shiftright.evals.freeze import freeze
from shiftright.evals.target import quality
from shiftright.ship.diff.replayed import Replayed, Scores

MARGIN = 0.03
NO_QUALITY = "no check judges what these inputs are answered: limits of latency and cost say nothing of it"
SEED = 0
"""The order of the inputs is a hash of this and their ids: comparing again is no second chance."""


def relative(spec: Spec) -> Spec:
    """The contract as a question about two sides.

    A check of the output asks that its mean score does not drop by ``max_drop``, or 3 points where the contract names
    no drop; ``min_gain`` stays, and ``never_fails``, which no drop can be better than. Limits of latency and cost stay
    as they are: they are about the new side alone.
    """
    return msgspec.structs.replace(spec, checks=tuple(map(_relative, spec.checks)))


def _relative(check: Check) -> Check:
    if not quality(check):
        return check
    kept = tuple(clause for clause in check.clauses if clause.relative or clause.kind == "never_fails")
    return msgspec.structs.replace(check, clauses=kept or (Clause("max_drop", MARGIN),))


def judged(spec: Spec, replayed: Sequence[Replayed]) -> Verdict:
    """The verdict on inputs in their order, groups whole; ``spec`` is the contract as it stands."""
    contract = relative(spec)
    test = ContractTest(contract, freeze(contract, [one.case for one in replayed], attempt=1, seed=SEED))
    test.add([_evidence(one, spec) for one in replayed])
    verdict = test.verdict()
    if verdict.verdict == "pass" and not any(quality(check) for check in contract.checks):
        return msgspec.structs.replace(verdict, verdict="inconclusive", reasons=(NO_QUALITY,))
    return verdict


def _evidence(one: Replayed, spec: Spec) -> CaseScores:
    return CaseScores(
        one.case.id,
        _values(one.new_scores, spec),
        _values(one.old_scores, spec),
        one.unit,
        one.closes,
    )


def _values(scores: Scores, spec: Spec) -> dict[str, Values]:
    """More is better in all of them: those with ``at_most`` are turned around."""
    turned = {check.name for check in spec.checks if quality(check) and check.clause("at_most")}
    return {
        name: ((1.0 - score.value if name in turned and score.value is not None else score.value),)
        for name, score in scores.items()
    }
