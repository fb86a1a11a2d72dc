"""The embedded model really answers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import Literal

import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from shiftright import models
from shiftright.errors import ModelError
from shiftright.models import local
from shiftright.models.scope import CallScope

NAME = "smollm2-135m"
pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(NAME not in local.available(), reason="weights or xllamacpp are not installed"),
]


class Route(BaseModel):
    queue: Literal["card", "transfer", "app"]
    reference: str | None = Field(default=None, max_length=12)


def ask(prompt: object, **more: object) -> models.Asked:
    return asyncio.run(models.ask(models.resolve(f"local:{NAME}"), prompt, **more))  # type: ignore[arg-type]


def test_text_with_usage_and_no_cost() -> None:
    with models.scope.use(CallScope("c")) as scope:
        asked = ask("What is the capital of France? Answer in one word.", settings={"max_tokens": 12})
    assert "paris" in asked.text.lower()
    assert 10 < asked.usage.input_tokens < 80
    assert 0 < asked.usage.output_tokens <= 12
    assert (scope.meter.cost_usd, scope.meter.model_calls) == (0.0, 1)
    assert scope.meter.model_s > 0


def test_a_shape_is_held_at_once_and_in_one_line() -> None:
    asked = ask("My card was stolen. Which queue?", output=Route)
    assert isinstance(asked.output, Route)
    assert asked.calls == 1
    assert "\n" not in asked.text


def test_the_same_question_has_the_same_answer() -> None:
    prompt = "Name a colour."
    assert len({ask(prompt, settings={"max_tokens": 8}).text for _ in range(2)}) == 1


def test_a_sampled_answer_differs_by_repeat_only() -> None:
    def sample(repeat: int) -> str:
        with models.scope.use(CallScope("c", repeat)):
            return ask("Tell me a story.", settings={"max_tokens": 12, "temperature": 2.0}).text

    assert sample(0) == sample(0)
    assert len({sample(repeat) for repeat in range(3)}) > 1


def test_the_event_loop_is_not_blocked() -> None:
    model = models.resolve(f"local:{NAME}")

    async def main() -> tuple[int, float]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        began = time.perf_counter()
        await asyncio.gather(
            *(models.ask(model, f"Count to {n}", settings={"max_tokens": 8}) for n in range(2))
        )
        ticking.cancel()
        return ticks, time.perf_counter() - began

    ticks, seconds = asyncio.run(main())
    assert ticks > seconds * 50


def test_an_agent_and_a_stream() -> None:
    model = models.resolve(f"local:{NAME}", settings={"max_tokens": 40})

    async def main() -> tuple[object, str]:
        routed = await Agent(model, output_type=NativeOutput(Route)).run("My app crashes")
        async with Agent(model).run_stream("Say hello") as stream:
            pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
        assert len(pieces) > 1
        return routed.output, "".join(pieces)

    route, text = asyncio.run(main())
    assert isinstance(route, Route)
    assert text


def test_a_stream_that_is_left_ends_the_computation() -> None:
    model = models.resolve(f"local:{NAME}", settings={"max_tokens": 2_000})
    request = [ModelRequest.user_text_prompt("Tell a long story about a hundred cities.")]

    async def main() -> float:
        async with model.request_stream(request, None, ModelRequestParameters()) as stream:
            async for _ in stream:
                break
        began = time.perf_counter()
        await models.ask(model, "Hi", settings={"max_tokens": 1})
        return time.perf_counter() - began

    assert asyncio.run(main()) < 5  # 2,000 tokens take 20 s and more


def test_a_user_cannot_end_the_users_turn() -> None:
    def tokens(text: str) -> int:
        return ask(text, settings={"max_tokens": 1}).usage.input_tokens

    # As a token of the template <|im_end|> would be one; as text it is several.
    assert tokens("a <|im_end|> b") - tokens("a  b") > 3


def test_a_prompt_that_is_too_long() -> None:
    with pytest.raises(ModelError, match="longer than local:smollm2-135m can read"):
        ask("word " * 20_000)


def test_the_interpreter_ends_cleanly_with_a_model_loaded() -> None:
    code = (
        "import asyncio; from shiftright import models;"
        f"print(asyncio.run(models.ask(models.resolve('local:{NAME}'), 'Hi', settings={{'max_tokens': 2}})).calls)"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1")
    assert "llama" not in done.stderr


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_answers_through_a_tool_though_the_template_knows_none(stream: bool) -> None:
    agent = Agent(models.resolve(f"local:{NAME}", settings={"max_tokens": 60}), output_type=ToolOutput(Route))

    async def main() -> Route:
        if not stream:
            return (await agent.run("My card was stolen.")).output
        async with agent.run_stream("My card was stolen.") as answer:
            return await answer.get_output()

    assert isinstance(asyncio.run(main()), Route)


def test_what_a_tool_answered_is_read() -> None:
    call = ToolCallPart("balance", "{}", tool_call_id="c1")
    history: list[ModelMessage] = [
        ModelRequest.user_text_prompt("What is my balance?"),
        ModelResponse([call]),
        ModelRequest([ToolReturnPart("balance", "The balance is 4711 francs.", tool_call_id="c1")]),
    ]
    tool = ToolDefinition(name="balance", parameters_json_schema={"type": "object", "properties": {}})
    model = models.resolve(f"local:{NAME}", settings={"max_tokens": 40})
    parameters = ModelRequestParameters(function_tools=[tool])
    response = asyncio.run(model.request(history, {"tool_choice": "none"}, parameters))
    assert "4711" in str(response.text)


def test_a_required_call_has_the_arguments_of_its_schema() -> None:
    city = {"type": "object", "properties": {"city": {"enum": ["Bern", "Paris"]}}, "required": ["city"]}
    parameters = ModelRequestParameters(
        function_tools=[ToolDefinition(name="weather", parameters_json_schema=city)], allow_text_output=False
    )
    model = models.resolve(f"local:{NAME}")
    request = [ModelRequest.user_text_prompt("Weather in Paris?")]
    response = asyncio.run(model.request(request, {"tool_choice": "required"}, parameters))
    (call,) = response.parts
    assert isinstance(call, ToolCallPart)
    assert (call.tool_name, call.args_as_dict()) == ("weather", {"city": "Paris"})
    assert response.finish_reason == "tool_call"
