"""The stated error rates, through the whole contract test (the long proof is benchmarks/error_rates.py)."""

from __future__ import annotations

import random
from math import sqrt

from contracts import case, check, spec

from shiftright.core.spec import Clause
from shiftright.decisions.contract import ContractTest
from shiftright.decisions.units import CaseScores
from shiftright.evals.freeze import freeze

REPLICATIONS = 300
MADE = spec(
    check("right", Clause("max_drop", 0.10)), check("polite", Clause("at_least", 0.8, comfortable=0.9))
)
FROZEN = freeze(MADE, [case(f"c{i}") for i in range(400)], attempt=1, seed=0)


def decide(seed: int, effect: float, polite: float) -> tuple[str, str]:
    values = random.Random(seed)
    test = ContractTest(MADE, FROZEN)
    while not test.settled and test.cases < 400:
        batch = []
        for _ in range(20):
            easy = values.random() < 0.65
            base = float(easy or values.random() < 0.4)
            mine = float(easy or values.random() < 0.4)
            if effect < 0 and values.random() < -effect:
                mine = 0.0 if base else mine
            kind = float(values.random() < polite)
            batch.append(CaseScores("c", {"right": (mine,), "polite": (kind,)}, {"right": (base,)}))
        test.add(batch)
    verdict = test.verdict()
    return verdict.verdict, verdict.merge


def rate(hits: int) -> float:
    return hits / REPLICATIONS


def bound(nominal: float) -> float:
    return nominal + 2 * sqrt(nominal * (1 - nominal) / REPLICATIONS)


def test_a_contract_that_is_bad_in_one_clause_hardly_ever_ships() -> None:
    shipped = sum(decide(seed, 0.0, polite=0.80)[0] == "pass" for seed in range(REPLICATIONS))
    assert rate(shipped) <= bound(0.05)


def test_a_harmless_change_is_hardly_ever_called_harmful_and_seldom_blocked() -> None:
    answers = [decide(seed, 0.0, polite=0.92) for seed in range(REPLICATIONS)]
    assert rate(sum(merge == "no" for _, merge in answers)) <= bound(0.05)
    assert rate(sum(verdict == "fail" for verdict, _ in answers)) <= bound(0.20)
    assert rate(sum(verdict == "pass" for verdict, _ in answers)) >= 0.5


def test_a_large_loss_is_refused() -> None:
    answers = [decide(seed, -0.25, polite=0.92) for seed in range(100)]
    assert sum(merge == "no" for _, merge in answers) >= 75
