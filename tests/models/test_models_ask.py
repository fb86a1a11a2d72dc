from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_doubles import Scripted
from pydantic import BaseModel, Field
from pydantic_ai.messages import ModelRequest, ModelResponse, ToolCallPart, ToolReturnPart
from pydantic_ai.models import Model

from shiftright import models
from shiftright.core.answer import Span
from shiftright.errors import AnswerMalformed, SpecError, UsageError
from shiftright.models.chat import messages_of
from shiftright.models.layers import LayeredModel
from shiftright.models.prices import Price
from shiftright.models.scope import CallScope
from shiftright.models.shapes import shape_of
from shiftright.tracing import attributes
from shiftright.tracing.recorder import Recorder


class Route(BaseModel):
    queue: Literal["card", "app"]
    sure: float = Field(ge=0, le=1)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
SCHEMA = {
    "type": "object",
    "properties": {"queue": {"enum": ["card", "app"]}},
    "required": ["queue"],
    "additionalProperties": False,
}


def ask(model: Model, prompt: Any = "Hello", **more: Any) -> models.Asked:
    return asyncio.run(models.ask(model, prompt, **more))


def test_text() -> None:
    asked = ask(Scripted("words"))
    assert (asked.output, asked.text, asked.calls) == ("words", "words", 1)
    assert asked.usage.output_tokens == 10
    assert asked.cost_usd is None
    assert asked.finish_reason == "stop"


@pytest.mark.parametrize("fence", ["{}", "```json\n{}\n```", "```\n{}\n```\n"])
def test_a_type(fence: str) -> None:
    answer = fence.replace("{}", '{"queue": "card", "sure": 0.5}')
    assert ask(Scripted(answer), output=Route).output == Route(queue="card", sure=0.5)


@pytest.mark.parametrize(
    ("output", "answer", "value"),
    [
        (bool, '{"value": true}', True),
        (Annotated[int, Field(ge=0, json_schema_extra={"a": 1})], '{"value": 3}', 3),
        (Literal["a", "b"], '{"value": "b"}', "b"),
        (list[Route], '{"value": [{"queue": "app", "sure": 1}]}', [Route(queue="app", sure=1)]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (SCHEMA, '{"queue": "app"}', {"queue": "app"}),
        ({"enum": ["x", "y"]}, '{"value": "x"}', "x"),
    ],
)
def test_any_shape(output: Any, answer: str, value: Any) -> None:
    model = Scripted(answer)
    assert ask(model, output=output).output == value
    sent = model.parameters[0].output_object
    assert sent is not None
    assert sent.json_schema["type"] == "object"


def test_a_malformed_answer_is_sent_back_with_what_is_wrong() -> None:
    model = Scripted("no JSON", '{"queue": "fax", "sure": 2}', '{"queue": "card", "sure": 1}')
    asked = ask(model, output=Route)
    assert asked.output.queue == "card"
    assert asked.calls == 3
    assert asked.usage.input_tokens == 300
    last = str(model.asked[-1][-1])
    assert "queue" in last
    assert "sure" in last
    assert "fax" in str(model.asked[-1][-2])


def test_patience_with_malformed_answers_ends() -> None:
    model = Scripted('{"queue": "fax"}')
    with pytest.raises(AnswerMalformed, match=r"in 2 attempts: queue: .*fax|'fax'") as caught:
        ask(model, output=SCHEMA, retries=1)
    assert len(model.asked) == 2
    assert "fax" in str(caught.value)


def test_a_model_without_json_output_is_given_a_tool() -> None:
    class Tools(Scripted):
        async def request(
            self, messages: Any, model_settings: Any, model_request_parameters: Any
        ) -> ModelResponse:
            (tool,) = model_request_parameters.output_tools
            await super().request(messages, model_settings, model_request_parameters)
            return ModelResponse([ToolCallPart(tool.name, {"queue": "app"})])

    assert ask(Tools("", native=False), output=SCHEMA).output == {"queue": "app"}


def test_impossible_shapes() -> None:
    with pytest.raises(SpecError, match="cannot be asked for"):
        ask(Scripted(""), output=Scripted)
    with pytest.raises(SpecError, match="not a JSON schema"):
        ask(Scripted(""), output={"type": "nonsense"})


def test_a_conversation() -> None:
    messages = messages_of(
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "snow"},
            {"role": "assistant", "content": "It snows."},
            {"role": "user", "content": "Thanks"},
        ]
    )
    assert [m.kind for m in messages] == ["request", "response", "request", "response", "request"]
    (returned,) = messages[2].parts
    assert isinstance(returned, ToolReturnPart)
    assert (returned.tool_name, returned.content) == ("weather", "snow")
    assert isinstance(messages[0], ModelRequest)


@pytest.mark.parametrize(
    "prompt",
    [
        [],
        [{"role": "wizard", "content": "x"}],
        [{"content": "x"}],
        [{"role": "user"}],
        [{"role": "user", "content": 7}],
        [{"role": "user", "content": [{"type": "hologram"}]}],
        [{"role": "system", "content": None}],
    ],
)
def test_bad_messages_say_what_a_message_is(prompt: Any) -> None:
    with pytest.raises(UsageError) as caught:
        ask(Scripted("x"), prompt)
    assert caught.value.hint is not None


@given(
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text()}
        ),
        min_size=1,
    )
)
def test_no_message_is_lost(prompt: list[dict[str, str]]) -> None:
    texts = [part.content for message in messages_of(prompt) for part in message.parts]  # type: ignore[union-attr]
    assert texts == [message["content"] for message in prompt]


@given(JSON_VALUES)
def test_any_json_fits_the_empty_schema(value: Any) -> None:
    assert shape_of({}).read(json.dumps({"value": value})) == value


def test_each_call_leaves_a_span() -> None:
    model = LayeredModel(Scripted("x" * 5_000), name="scripted", price=Price(input=1.0, output=10.0))
    with models.scope.use(CallScope()), Recorder() as recorder:
        ask(model, "<b>Hello</b>")
    (span,) = recorder.spans()
    assert isinstance(span, Span)
    assert span.name == "chat scripted"
    assert span.attributes[attributes.REQUEST_MODEL] == "scripted"
    assert span.attributes[attributes.INPUT_TOKENS] == 100
    assert span.attributes[attributes.COST_USD] == pytest.approx(200e-6)
    assert span.attributes[attributes.FINISH_REASONS] == ["stop"]
    assert span.attributes[attributes.CACHED] is False
    assert "<b>Hello</b>" in span.attributes[attributes.INPUT_MESSAGES]
    assert 2_000 < len(span.attributes[attributes.OUTPUT_MESSAGES]) < 2_200
