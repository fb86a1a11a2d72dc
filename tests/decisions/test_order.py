from __future__ import annotations

from shiftright.core.case import Case
from shiftright.decisions.order import arrange


def test_one_group_among_many_cases_does_not_move_the_others() -> None:
    cases = [Case(f"c{i}", input=f"text {i}") for i in range(200)]
    alone = [step.case.id for step in arrange(cases, seed=7).rest]
    beside = [step.case.id for step in arrange([*cases, Case("g", input="other", group="one")], seed=7).rest]
    assert [name for name in beside if name != "g"] == alone
