from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_doubles import Memory, Scripted
from pydantic_ai.messages import ModelRequest

from shiftright import models
from shiftright.core.answer import Usage
from shiftright.errors import CapReached, ProviderError, SpecError, UsageError
from shiftright.models.layers import LayeredModel
from shiftright.models.meter import Meter
from shiftright.models.prices import FREE, UNKNOWN, Price, own_price, prices_as_of
from shiftright.models.scope import CallScope


def layered(model: Scripted, price: Price) -> LayeredModel:
    return LayeredModel(model, name="scripted", price=price)


def ask(model: LayeredModel, scope: CallScope, prompt: str = "Hello") -> models.Asked:
    with models.scope.use(scope):
        return asyncio.run(models.ask(model, prompt, settings={"max_tokens": 10}))


def test_a_cap_on_calls_comes_before_the_call() -> None:
    inner = Scripted("x")
    scope = CallScope(budget=models.Budget(max_calls=2))
    model = layered(inner, UNKNOWN)
    ask(model, scope)
    ask(model, scope)
    with pytest.raises(CapReached, match="cap of 2 model calls"):
        ask(model, scope)
    assert len(inner.asked) == scope.meter.model_calls == 2


def test_a_cap_on_money_comes_before_the_call_that_would_pass_it() -> None:
    inner = Scripted("x")
    budget = models.Budget(max_cost_usd=300e-6)
    model = layered(inner, Price(input=1.0, output=10.0))
    ask(model, CallScope(budget=budget))
    assert budget.spent_usd == pytest.approx(200e-6)
    with pytest.raises(CapReached, match="would pass the cap"):
        ask(model, CallScope(budget=budget))
    assert len(inner.asked) == 1


def test_calls_in_flight_cannot_pass_the_cap_together() -> None:
    inner = Scripted("x")
    budget = models.Budget(max_cost_usd=250e-6)  # two expected calls of 102 µUSD, though each will cost 200
    model = layered(inner, Price(input=1.0, output=10.0))

    async def main() -> list[Any]:
        with models.scope.use(CallScope(budget=budget)):
            calls = (models.ask(model, "Hello", settings={"max_tokens": 10}) for _ in range(5))
            return await asyncio.gather(*calls, return_exceptions=True)

    results = asyncio.run(main())
    assert sum(isinstance(result, CapReached) for result in results) == 5 - len(inner.asked) >= 3


def test_cached_answers_cost_nothing(cache: Memory) -> None:
    budget = models.Budget(max_calls=1)
    model = layered(Scripted("x"), FREE)
    for _ in range(3):
        ask(model, CallScope(cache=cache, budget=budget))
    assert budget.calls == 1


def test_a_failed_call_gives_back_what_it_reserved() -> None:
    budget = models.Budget(max_cost_usd=250e-6)
    model = layered(Scripted(ProviderError("down"), "x"), Price(input=1.0, output=10.0))
    with pytest.raises(ProviderError):
        ask(model, CallScope(budget=budget))
    assert budget.spent_usd == 0
    ask(model, CallScope(budget=budget))


def test_money_cannot_be_capped_without_a_price() -> None:
    with pytest.raises(UsageError, match="no price is known for scripted"):
        ask(layered(Scripted("x"), UNKNOWN), CallScope(budget=models.Budget(max_cost_usd=1.0)))


@given(
    cap=st.floats(0, 1),
    expected=st.lists(st.floats(0, 0.5), max_size=20),
)
def test_what_is_reserved_never_passes_the_cap(cap: float, expected: list[float]) -> None:
    budget = models.Budget(max_cost_usd=cap)
    for usd in expected:
        try:
            reserved = budget.reserve(usd, "m")
        except CapReached:
            assert budget.spent_usd + usd > cap - 1e-9
        else:
            budget.settle(reserved, usd)
    assert budget.spent_usd <= cap + 1e-9


def test_the_expected_cost_is_said_beforehand() -> None:
    model = layered(Scripted("x"), Price(input=1.0, output=10.0))
    request = [ModelRequest.user_text_prompt("x" * 4_000)]
    assert model.expected_cost(request, {"max_tokens": 100}) == pytest.approx(2e-3, rel=0.01)
    assert layered(Scripted("x"), UNKNOWN).expected_cost(request) is None


def test_list_prices_come_from_the_shipped_data() -> None:
    usage = Usage(1_000_000, 1_000_000)
    assert Price("gpt-4o-mini", "openai").cost(usage, 1) == pytest.approx(0.75)
    cached = Price("gpt-4o-mini", "openai").cost(Usage(1_000_000, 0, 1_000_000), 1)
    assert cached == pytest.approx(0.075)
    assert Price("gpt-4o-mini", "somewhere", "https://api.openai.com/v1/").cost(usage, 1) == pytest.approx(
        0.75
    )
    assert "genai-prices" in prices_as_of()
    assert "(20" in prices_as_of()


def test_an_unknown_price_is_unknown() -> None:
    assert Price("no-such-model", "openai").cost(Usage(1, 1), 1) is None
    assert Price("gpt-4o", "no-such-provider", "https://host.invalid/v1").cost(Usage(1, 1), 1) is None
    asked = ask(layered(Scripted("x"), Price("no-such-model", "openai")), scope := CallScope())
    assert asked.cost_usd is None
    assert scope.meter.cost_usd is None


@pytest.mark.parametrize(
    ("settings", "cost"),
    [
        ({"price": {"input": "0.15 USD/M", "output": "0.6 USD/M"}}, 0.75),
        ({"price": {"input": "$1", "output": 2}}, 3.0),
        ({"gpu_hour": "3.60 USD"}, 0.01),
        ({"gpu_hour": 3.6, "concurrency": 4}, 0.0025),
        ({}, None),
    ],
)
def test_own_prices(settings: dict[str, Any], cost: float | None) -> None:
    price = own_price(settings)
    found = None if price is None else price.cost(Usage(1_000_000, 1_000_000), 10)
    assert found == (None if cost is None else pytest.approx(cost))


@pytest.mark.parametrize(
    "settings",
    [
        {"price": "cheap"},
        {"price": {"input": "1 EUR", "output": "1 USD"}},
        {"price": {"input": 1}},
        {"price": {"input": -1, "output": 1}},
        {"price": {"input": float("nan"), "output": 1}},
        {"price": {"input": 1, "output": 1, "lunch": 1}},
        {"gpu_hour": True},
    ],
)
def test_a_price_that_cannot_be_read(settings: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as caught:
        own_price(settings)
    assert caught.value.hint is not None


def test_latency_of_a_feature_call_is_its_own_time_plus_the_models() -> None:
    meter = Meter()
    assert meter.latency_s(0.2) == 0.2
    # Waited 0.5 s for a slot and then 1 s for the answer: the user of one call waits 1 s.
    meter.add(usage=Usage(), cost_usd=0.0, latency_s=1.0, waited_s=1.5, cached=False, paid=True)
    assert meter.latency_s(1.6) == pytest.approx(1.1)
    # A cached answer is read in no time and keeps the 2 s it took.
    meter.add(usage=Usage(), cost_usd=0.0, latency_s=2.0, waited_s=0.0, cached=True, paid=True)
    assert meter.latency_s(1.6) == pytest.approx(3.1)
