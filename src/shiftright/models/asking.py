"""One question to a model, one answer: as text, or in the shape that was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import msgspec
from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from shiftright.core.answer import Usage
from shiftright.core.counting import counted
from shiftright.errors import AnswerMalformed
from shiftright.models.chat import messages_of
from shiftright.models.layers import usage_of
from shiftright.models.shapes import Shape, Unfitting, shape_of

_TEXT = ModelRequestParameters()
_LONGEST_COMPLAINT = 1_000


class Asked(msgspec.Struct, frozen=True):
    """An answer.

    ``output`` is the text, or the validated value where a shape was asked for; ``text`` is what the model wrote.
    ``usage`` and ``cost_usd`` (None: unknown) include the malformed answers before it; ``calls`` counts all of them.
    """

    output: Any
    text: str
    usage: Usage
    cost_usd: float | None
    calls: int = 1
    finish_reason: str | None = None


async def ask(
    model: Model,
    prompt: str | Sequence[Mapping[str, Any]],
    *,
    output: Any = None,
    settings: Mapping[str, Any] | None = None,
    retries: int = 2,
) -> Asked:
    """Ask a model once; a malformed answer is sent back with what is wrong with it, at most ``retries`` times.

    Args:
        model: any pydantic-ai model; one from ``resolve`` is metered, cached and retried.
        prompt: text, or messages in OpenAI's chat form.
        output: None or ``str`` for text; any type pydantic can validate; or a JSON schema as a dict.
        settings: pydantic-ai's ModelSettings for this request.

    Raises:
        ModelError: no usable answer; AnswerMalformed when it never had the asked shape.
    """
    messages = messages_of(prompt)
    asked_for = cast(ModelSettings, dict(settings)) if settings else None
    if output is None or output is str:
        response = await model_request(
            model, messages, model_settings=asked_for, model_request_parameters=_TEXT
        )
        text = _text(response)
        usage = usage_of(response)
        return Asked(text, text, usage, _cost(response), 1, response.finish_reason)
    shape = shape_of(output)
    parameters = _typed(shape, _mode(model))
    used = Usage()
    cost: float | None = 0.0
    for calls in range(1, retries + 2):
        response = await model_request(
            model, messages, model_settings=asked_for, model_request_parameters=parameters
        )
        used += usage_of(response)
        charged = _cost(response)
        cost = None if cost is None or charged is None else cost + charged
        text = _text(response)
        try:
            value = shape.read(text)
        except Unfitting as wrong:
            complaint = str(wrong)[:_LONGEST_COMPLAINT]
            if response.finish_reason == "length":
                complaint += "\n(The answer was cut off by max_tokens.)"
            messages = [*messages, *_sent_back(text, complaint)]
            continue
        return Asked(value, text, used, cost, calls, response.finish_reason)
    raise AnswerMalformed(
        f"the answer did not have the asked shape in {counted(retries + 1, 'attempt')}: {complaint}",
        hint=f"The last answer began: {text[:200]!r}",
    )


def _sent_back(text: str, complaint: str) -> list[ModelMessage]:
    return [
        ModelResponse(parts=[TextPart(text)]),
        ModelRequest(
            parts=[
                UserPromptPart(
                    f"This answer does not have the asked shape:\n{complaint}\n"
                    "Answer again, with nothing but the JSON value."
                )
            ]
        ),
    ]


def _mode(model: Model) -> str:
    """How this model is best asked for JSON: its own constrained output, a tool it must call, or the prompt."""
    profile = model.profile
    if profile.get("supports_json_schema_output", False):
        return "native"
    return "tool" if profile.get("supports_tools", True) else "prompted"


@lru_cache(maxsize=256)
def _typed(shape: Shape, mode: str) -> ModelRequestParameters:
    schema = shape.object_schema
    if mode == "tool":
        return ModelRequestParameters(
            output_mode="tool",
            output_tools=[ToolDefinition(name="answer", parameters_json_schema=schema, kind="output")],
            allow_text_output=False,
        )
    return ModelRequestParameters(
        output_mode="native" if mode == "native" else "prompted",
        output_object=OutputObjectDefinition(json_schema=schema, name=shape.name),
    )


def _text(response: ModelResponse) -> str:
    """What the model wrote; the arguments where it answered by calling the output tool."""
    for part in response.parts:
        if isinstance(part, ToolCallPart):
            return part.args if isinstance(part.args, str) else json.dumps(part.args or {})
    return "".join(part.content for part in response.parts if isinstance(part, TextPart))


def _cost(response: ModelResponse) -> float | None:
    return None if response.usage.cost is None else float(response.usage.cost)
