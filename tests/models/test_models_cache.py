from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_doubles import Memory, Scripted
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart
from pydantic_ai.models import ModelRequestParameters

from shiftright import models
from shiftright.errors import ProviderError
from shiftright.models.cache import Reply, decode, encode
from shiftright.models.layers import LayeredModel
from shiftright.models.prices import Price
from shiftright.models.scope import CallScope

PRICE = Price(input=1.0, output=10.0)


def layered(model: Scripted, **settings: Any) -> LayeredModel:
    return LayeredModel(model, name="scripted", price=PRICE, settings=settings)  # type: ignore[arg-type]


def ask(model: LayeredModel, scope: CallScope, prompt: str = "Hello", **more: Any) -> models.Asked:
    with models.scope.use(scope):
        return asyncio.run(models.ask(model, prompt, **more))


def test_the_same_request_is_made_once(cache: Memory) -> None:
    inner = Scripted("first", "second")
    model = layered(inner)
    scopes = [CallScope(f"c{n}", cache=cache) for n in range(2)]
    assert [ask(model, scope).text for scope in scopes] == ["first", "first"]
    made, cached = (scope.meter for scope in scopes)
    assert (made.model_calls, made.cached_calls) == (1, 0)
    assert (cached.model_calls, cached.cached_calls) == (0, 1)
    # A cached answer keeps the cost, usage and latency it had; nothing is spent for it.
    assert cached.cost_usd == made.cost_usd == pytest.approx(200e-6)
    assert cached.usage == made.usage
    assert cached.model_s == made.model_s
    assert (made.spent_usd, cached.spent_usd) == (made.cost_usd, 0.0)


def test_each_repeat_is_asked_on_its_own(cache: Memory) -> None:
    model = layered(Scripted("first", "second"))
    texts = [ask(model, CallScope("c", repeat, cache)).text for repeat in (0, 1, 0, 1)]
    assert texts == ["first", "second", "first", "second"]


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Hello!"},
        {"settings": {"temperature": 0.5}},
        {"output": {"type": "object"}},
        {"prompt": [{"role": "system", "content": "Hello"}]},
    ],
)
def test_another_request_is_another_entry(cache: Memory, change: dict[str, Any]) -> None:
    inner = Scripted('{"a": 1}')
    model = layered(inner)
    ask(model, CallScope(cache=cache))
    ask(model, CallScope(cache=cache), **change)
    assert len(inner.asked) == len(cache.kept) == 2


def test_other_settings_of_the_variant_are_another_entry(cache: Memory) -> None:
    inner = Scripted("x")
    ask(layered(inner), CallScope(cache=cache))
    ask(layered(inner, temperature=0.5), CallScope(cache=cache))
    assert len(cache.kept) == 2


def test_failures_are_not_cached(cache: Memory) -> None:
    inner = Scripted(ProviderError("down"), "up")
    model = layered(inner)
    scope = CallScope(cache=cache)
    with pytest.raises(ProviderError):
        ask(model, scope)
    assert ask(model, scope).text == "up"
    assert scope.meter.model_calls == 2


class Waiting(Scripted):
    """Answers when it is told to."""

    def __init__(self, *answers: str | Exception) -> None:
        super().__init__(*answers)
        self.go = asyncio.Event()

    async def request(
        self, messages: Any, model_settings: Any, model_request_parameters: Any
    ) -> ModelResponse:
        await self.go.wait()
        return await super().request(messages, model_settings, model_request_parameters)


async def together(model: LayeredModel, inner: Waiting, scopes: list[CallScope]) -> list[Any]:
    async def one(scope: CallScope) -> str:
        with models.scope.use(scope):
            return (await models.ask(model, "Hello")).text

    tasks = [asyncio.create_task(one(scope)) for scope in scopes]
    await asyncio.sleep(0.01)
    inner.go.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


@settings(max_examples=20, deadline=None)
@given(repeats=st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_identical_requests_at_once_are_one(repeats: list[int]) -> None:
    cache, inner = Memory(), Waiting("same")
    scopes = [CallScope(f"c{n}", repeat, cache) for n, repeat in enumerate(repeats)]
    assert asyncio.run(together(layered(inner), inner, scopes)) == ["same"] * len(repeats)
    assert len(inner.asked) == len(set(repeats)) == len(cache.kept)
    assert sum(scope.meter.model_calls for scope in scopes) == len(set(repeats))
    assert sum(scope.meter.model_calls + scope.meter.cached_calls for scope in scopes) == len(repeats)


def test_those_who_wait_share_the_failure(cache: Memory) -> None:
    inner = Waiting(ProviderError("down"))
    results = asyncio.run(together(layered(inner), inner, [CallScope(cache=cache) for _ in range(3)]))
    assert [type(result) for result in results] == [ProviderError] * 3
    assert len(inner.asked) == 1


def test_the_next_asks_when_the_first_is_cancelled(cache: Memory) -> None:
    inner = Waiting("answer")
    model = layered(inner)

    async def one() -> str:
        with models.scope.use(CallScope(cache=cache)):
            return (await models.ask(model, "Hello")).text

    async def main() -> str:
        first, second = asyncio.create_task(one()), asyncio.create_task(one())
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0.01)
        inner.go.set()
        return await second

    assert asyncio.run(main()) == "answer"


def test_times_and_ids_do_not_matter(cache: Memory) -> None:
    inner = Scripted("x")
    model = layered(inner)

    def conversation(run_id: str) -> list[ModelMessage]:
        return [
            ModelRequest.user_text_prompt("Hello"),
            ModelResponse([TextPart("Hi")], run_id=run_id, provider_response_id=run_id),
            ModelRequest.user_text_prompt("Bye"),
        ]

    async def main(run_id: str) -> None:
        with models.scope.use(CallScope(cache=cache)):
            await model.request(conversation(run_id), None, ModelRequestParameters())

    asyncio.run(main("one"))
    asyncio.run(main("two"))
    assert len(inner.asked) == 1


def test_works_without_a_scope() -> None:
    assert asyncio.run(models.ask(layered(Scripted("x")), "Hello")).cost_usd == pytest.approx(200e-6)


@given(st.text(min_size=1), st.floats(0, 1e6), st.none() | st.floats(0, 1e6))
def test_replies_survive_the_cache(text: str, latency_s: float, cost: float | None) -> None:
    text = text.encode("utf-8", "ignore").decode()
    reply = decode(encode(Reply(ModelResponse([TextPart(text)], model_name="m"), latency_s, cost)))
    assert reply.response.parts == [TextPart(text)]
    assert (reply.latency_s, reply.cost_usd, reply.cached) == (latency_s, cost, True)
