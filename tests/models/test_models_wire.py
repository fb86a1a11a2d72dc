"""Against a provider on loopback, through the real OpenAI client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from model_doubles import Provider, Reaction, reply, reset, says
from pydantic_ai import Agent

from shiftright import models
from shiftright.errors import CredentialsError, Error, ModelRefused, ModelTimeout, ProviderError
from shiftright.models.layers import LayeredModel
from shiftright.models.scope import CallScope


def run(provider: Provider, use: Callable[[LayeredModel], Awaitable[Any]], **settings: Any) -> Any:
    """Use a model at the provider, with quick backoff, and close its client."""
    model = models.resolve(provider.url, settings=settings)
    model.retry = type(model.retry)(
        timeout_s=model.retry.timeout_s, total_s=model.retry.total_s, base_s=0.001
    )

    async def main() -> Any:
        async with model:
            return await use(model)

    return asyncio.run(main())


def ask(provider: Provider, **settings: Any) -> models.Asked:
    return run(provider, lambda model: models.ask(model, "Hello"), **settings)


def test_an_answer_with_its_usage(provider: Provider, wire: dict[str, Any]) -> None:
    provider.answers(reply(wire["answer"]["body"]))
    asked = ask(provider, temperature=0.25, max_tokens=7)
    assert asked.text.startswith("Why did Opentelemetry break up")
    assert (asked.usage.input_tokens, asked.usage.output_tokens) == (15, 19)
    request = provider.requests[0]
    assert request["model"] == "gpt-4o-mini"
    assert request["temperature"] == 0.25
    assert 7 in (request.get("max_tokens"), request.get("max_completion_tokens"))


def test_rate_limits_are_waited_out(provider: Provider) -> None:
    provider.answers(
        reply({"error": {"message": "slow down"}}, 429, retry_after_ms="150"),
        reply({"error": {"message": "slow down"}}, 429, retry_after=formatdate(time.time() - 5, usegmt=True)),
        says("at last"),
    )
    began = time.perf_counter()
    assert ask(provider).text == "at last"
    assert 0.15 <= time.perf_counter() - began < 2
    assert len(provider.requests) == 3


def test_a_wait_longer_than_the_time_left_is_not_begun(provider: Provider) -> None:
    provider.answers(reply({"error": {"message": "later"}}, 429, retry_after="3600"))
    with pytest.raises(ProviderError) as caught:
        ask(provider)
    assert (caught.value.status, caught.value.retry_after) == (429, 3600.0)
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        reply({"error": {"message": "oops"}}, 500),
        reply("<html>bad gateway</html>", 502),
        reply("{not json"),
        reply({"unexpected": True}),
        reset,
    ],
    ids=["500", "502", "garbage", "foreign", "reset"],
)
def test_passing_trouble_is_tried_again(provider: Provider, trouble: Reaction) -> None:
    provider.answers(trouble, says("fine"))
    assert ask(provider).text == "fine"
    assert len(provider.requests) == 2


@pytest.mark.parametrize("trouble", [reply({"error": {"message": "down"}}, 503), reset], ids=["503", "reset"])
def test_lasting_trouble_is_a_provider_error(provider: Provider, trouble: Reaction) -> None:
    provider.answers(trouble)
    with pytest.raises(ProviderError):
        ask(provider)
    assert len(provider.requests) == 5


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, ProviderError), (401, CredentialsError), (403, CredentialsError), (404, ProviderError)],
)
def test_what_cannot_succeed_is_asked_once(provider: Provider, status: int, kind: type[Error]) -> None:
    provider.answers(reply({"error": {"message": "no such luck", "type": "invalid_request_error"}}, status))
    with pytest.raises(kind, match="no such luck"):
        ask(provider)
    assert len(provider.requests) == 1


def test_recorded_errors_of_openai(provider: Provider, wire: dict[str, Any]) -> None:
    provider.answers(reply(wire["unauthorized"]["body"], 401))
    with pytest.raises(CredentialsError, match="Incorrect API key"):
        ask(provider)
    provider.answers(reply(wire["bad_request"]["body"], 400))
    with pytest.raises(ProviderError, match="Web search options not supported"):
        ask(provider)


def test_exhausted_credit_is_not_waited_for(provider: Provider) -> None:
    provider.answers(reply({"error": {"message": "no credit", "code": "insufficient_quota"}}, 429))
    with pytest.raises(ProviderError, match="no credit"):
        ask(provider)
    assert len(provider.requests) == 1


def test_a_refusal(provider: Provider, wire: dict[str, Any], cache: Any) -> None:
    provider.answers(reply(wire["refusal"]["body"]))
    with models.scope.use(CallScope(cache=cache)) as scope, pytest.raises(ModelRefused, match="can't assist"):
        ask(provider)
    assert cache.kept == {}
    assert scope.meter.usage.input_tokens == 65


def test_an_empty_answer_is_not_cached(provider: Provider, cache: Any) -> None:
    provider.answers(says(""), says("words"))
    for expected in ("", "words", "words"):
        with models.scope.use(CallScope(cache=cache)):
            assert ask(provider).text == expected
    assert len(provider.requests) == 2


def test_no_answer_in_time(provider: Provider) -> None:
    def silent(handler: BaseHTTPRequestHandler) -> None:
        provider.closing.wait(2)

    provider.answers(silent)
    with pytest.raises(ModelTimeout, match="no complete answer"):
        ask(provider, timeout=0.05)


def stream_text(model: LayeredModel) -> Awaitable[str]:
    async def consume() -> str:
        async with Agent(model).run_stream("Hello") as answer:
            return await answer.get_output()

    return consume()


def test_a_stream(provider: Provider, wire: dict[str, Any], cache: Any) -> None:
    provider.answers(reply(wire["stream_text"]["body"]))
    with models.scope.use(CallScope(cache=cache)) as first:
        text = run(provider, stream_text)
    assert provider.requests[0]["stream"] is True
    assert text
    assert first.meter.model_calls == 1
    with models.scope.use(CallScope(cache=cache)) as second:
        assert run(provider, stream_text) == text
    assert (second.meter.model_calls, second.meter.cached_calls) == (0, 1)
    assert len(provider.requests) == 1


def test_a_stream_that_is_left_is_not_cached(provider: Provider, wire: dict[str, Any], cache: Any) -> None:
    provider.answers(reply(wire["stream_text"]["body"]))

    async def leave(model: LayeredModel) -> None:
        from pydantic_ai.messages import ModelRequest
        from pydantic_ai.models import ModelRequestParameters

        request = [ModelRequest.user_text_prompt("Hello")]
        async with model.request_stream(request, None, ModelRequestParameters()) as stream:
            async for _ in stream:
                break

    with models.scope.use(CallScope(cache=cache)):
        run(provider, leave)
    assert cache.kept == {}


def test_a_stream_that_never_ends(provider: Provider, wire: dict[str, Any], cache: Any) -> None:
    chunk = wire["stream_text"]["body"].split("\n\n")[1].encode() + b"\n\n"

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        while not provider.closing.wait(0.01):
            handler.wfile.write(chunk)

    provider.answers(endless)
    with models.scope.use(CallScope(cache=cache, timeout_s=0.2)), pytest.raises(ModelTimeout):
        run(provider, stream_text)
    assert cache.kept == {}


def test_a_stream_that_fails_to_open_is_tried_again(provider: Provider, wire: dict[str, Any]) -> None:
    provider.answers(reply({"error": {"message": "oops"}}, 500), reply(wire["stream_text"]["body"]))
    assert run(provider, stream_text)
    assert len(provider.requests) == 2


def test_an_agent_calls_its_tool(provider: Provider, wire: dict[str, Any]) -> None:
    provider.answers(
        reply(
            {
                "id": "chatcmpl-2",
                "object": "chat.completion",
                "created": 1_700_000_000,
                "model": "gpt-4o-mini",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "tool_calls",
                        "message": {
                            "role": "assistant",
                            "content": None,
                            "tool_calls": [
                                {
                                    "id": "call_1",
                                    "type": "function",
                                    "function": {"name": "weather", "arguments": '{"city": "Bern"}'},
                                }
                            ],
                        },
                    }
                ],
            }
        ),
        says("It snows in Bern."),
    )
    seen = []

    async def use(model: LayeredModel) -> str:
        agent = Agent(model)

        @agent.tool_plain
        def weather(city: str) -> str:
            seen.append(city)
            return "snow"

        return (await agent.run("Weather in Bern?")).output

    with models.scope.use(CallScope()) as scope:
        assert run(provider, use) == "It snows in Bern."
    assert seen == ["Bern"]
    assert scope.meter.model_calls == 2
    assert provider.requests[1]["messages"][-1]["role"] == "tool"


def test_calls_at_a_time(provider: Provider) -> None:
    under_way, most = 0, 0

    def slow(handler: BaseHTTPRequestHandler) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        provider.closing.wait(0.03)
        under_way -= 1
        says("ok")(handler)

    provider.answers(slow)

    async def use(model: LayeredModel) -> None:
        await asyncio.gather(*(models.ask(model, f"Hello {n}") for n in range(9)))

    run(provider, use, concurrency=3)
    assert most == 3
    assert len(provider.requests) == 9


@pytest.mark.filterwarnings("ignore::pydantic_ai.exceptions.UsageExtractionFailedWarning")
def test_usage_that_cannot_be_is_a_cost_that_is_not_known(provider: Provider) -> None:
    provider.answers(says("hi", prompt_tokens=-5, completion_tokens=-5))
    asked = ask(provider, price={"input": 1, "output": 2})
    assert asked.text == "hi"
    assert asked.cost_usd is None
