"""Chats answered by a feature, or by a model whose provider does not speak the caller's protocol (pydantic-ai).

Text, images by URL, tools, the shape of the answer and usage are carried over. What would be lost is refused, but for
numbers like ``seed`` that pydantic-ai leaves out where a provider does not have them. A stream is sent in one piece
when the answer is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from shiftright.core.answer import Answer, Usage
from shiftright.errors import CredentialsError, Error, MissingDependency, ModelTimeout, ProviderError
from shiftright.gateway import parameters
from shiftright.gateway.answers import tokens_in
from shiftright.gateway.body import Asked
from shiftright.gateway.calls import Calls
from shiftright.gateway.circuit import Circuit
from shiftright.gateway.fallbacks import Escalation, Fallbacks
from shiftright.gateway.passing import charge
from shiftright.gateway.refusal import Dialect, Refusal, malformed
from shiftright.gateway.routing import Route, Target
from shiftright.gateway.spans import Record
from shiftright.gateway.upstream import THEIR_FAULT, Upstreams, left_alone


class Said(msgspec.Struct):
    """An answer on its way back. ``tool_calls`` are in OpenAI's shape; ``poll`` is where a person's will be."""

    content: str | None
    tool_calls: list[dict[str, Any]] = []
    finish_reason: str = "stop"
    usage: Usage = Usage()
    model: str = ""
    poll: str | None = None


async def answer(
    dialect: Dialect,
    route: Route,
    data: bytes,
    asked: Asked,
    calls: Calls,
    upstreams: Upstreams,
    fallbacks: Fallbacks,
    proto: Any,
    record: Record,
    failed: Refusal | None = None,
) -> None:
    """
    Args:
        failed: the route's own models were asked, and this came of it: what the contract names below them is asked.

    Raises:
        Refusal: before anything was sent.
    """
    request: dict[str, Any] = msgspec.json.decode(data)
    messages = _messages(request, dialect)
    parameters.check(request, dialect, feature=route.spec is not None)
    if route.spec is not None and route.variant is not None:
        if failed is None:
            given = await fallbacks.ask(route.spec, route.variant, _value(messages), record)
        else:
            tried = [target.name for target in route.targets]
            given = await fallbacks.below(route.spec, route.variant, _value(messages), record, failed, tried)
        said = _said(given, record)
    else:
        said = await _first(route.targets, messages, request, asked, calls, upstreams, record)
    # A trace may hold many answers.
    answer_id = record.ids.span_id
    body = _openai(said, answer_id) if dialect == "openai" else _anthropic(said, answer_id)
    record.response_id = body["id"]
    ids = record.ids.headers if said.poll is None else [("location", said.poll), *record.ids.headers]
    if not request.get("stream"):
        headers = [("content-type", "application/json"), *ids]
        proto.response_bytes(record.status, headers, msgspec.json.encode(body))
        return
    headers = [("content-type", "text/event-stream"), ("cache-control", "no-cache"), *ids]
    events = _openai_events(body, request) if dialect == "openai" else _anthropic_events(body)
    proto.response_bytes(record.status, headers, events)


def _said(given: Answer | Escalation, record: Record) -> Said:
    """An escalation is said in the words of an answer: a chat has no other place for it."""
    if isinstance(given, Escalation):
        record.status = 202
        return Said(given.words, model=record.asked, poll=given.poll)
    output = given.output
    text = output if isinstance(output, str) else msgspec.json.encode(output).decode()
    return Said(text, usage=given.usage, model=record.asked)


async def _first(
    targets: tuple[Target, ...],
    messages: list[dict[str, Any]],
    request: dict[str, Any],
    asked: Asked,
    calls: Calls,
    upstreams: Upstreams,
    record: Record,
) -> Said:
    refusal: Refusal | None = None
    for target in targets:
        name = target.name.partition(":")[0] if target.provider is None else target.provider.name
        circuit = upstreams.circuit(name if target.provider is None else target.provider.base_url)
        if (wait_s := circuit.wait_s()) > 0:
            refusal = left_alone(name, wait_s)
            continue
        record.provider = name
        try:
            said = await calls.run(_asked(target, messages, request, calls))
        except BaseException as error:
            _judge(circuit, error)
            if isinstance(error, asyncio.CancelledError):
                # nobody waits for the answer any more, but its provider is paid all the same
                record.charged_usd = asked.expected_usd(target.price, record.asked_bytes) or 0.0
            if not isinstance(error, Error):
                raise
            refusal = _refused(error)
            if not isinstance(error, (ProviderError, ModelTimeout)):
                raise refusal from error
            continue
        circuit.worked()
        record.model = said.model
        record.usage = said.usage
        record.finish_reason = said.finish_reason
        record.output = msgspec.json.encode([_message(said)]).decode()
        charge(record, target, tokens_in(len(record.output)))
        return said
    assert refusal is not None, "a route without a feature has a target"
    raise refusal


def _judge(circuit: Circuit, error: BaseException) -> None:
    """What a failed call says of its provider: nothing where its client went, or it was not asked at all."""
    if isinstance(error, ModelTimeout):
        circuit.failed()
    elif isinstance(error, ProviderError):
        (circuit.failed if error.status is None or error.status in THEIR_FAULT else circuit.worked)()
    else:
        circuit.gave_up()


def _refused(error: Error) -> Refusal:
    match error:
        case ModelTimeout():
            return Refusal(504, error.code, error.message)
        case ProviderError():
            return Refusal(error.status or 502, error.code, error.message, retry_after_s=error.retry_after)
        case CredentialsError() | MissingDependency():
            return Refusal(502, error.code, error.message, hint=error.hint, final=True)
        case _:
            return Refusal(400, error.code, error.message, hint=error.hint)


async def _asked(
    target: Target, messages: list[dict[str, Any]], request: dict[str, Any], calls: Calls
) -> Said:
    from pydantic_ai.direct import model_request
    from pydantic_ai.messages import TextPart, ToolCallPart
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.tools import ToolDefinition

    from shiftright.models.chat import messages_of
    from shiftright.models.layers import usage_of

    model = await calls.model(target)
    settings: Any = parameters.settings_of(request)
    tools = [
        ToolDefinition(
            name=tool["name"],
            description=tool.get("description"),
            parameters_json_schema=tool.get("parameters") or tool.get("input_schema") or {"type": "object"},
            strict=tool.get("strict"),
        )
        for tool in _tools(request)
    ]
    response = await model_request(
        model,
        messages_of(messages),
        model_settings=settings,
        model_request_parameters=ModelRequestParameters(
            function_tools=tools, **parameters.output_of(request)
        ),
    )
    texts = [part.content for part in response.parts if isinstance(part, TextPart)]
    asked_for = [
        {
            "id": part.tool_call_id,
            "type": "function",
            "function": {"name": part.tool_name, "arguments": part.args_as_json_str()},
        }
        for part in response.parts
        if isinstance(part, ToolCallPart)
    ]
    reason = "tool_calls" if asked_for else "length" if response.finish_reason == "length" else "stop"
    return Said(
        "".join(texts) if texts else None, asked_for, reason, usage_of(response), response.model_name or ""
    )


def _tools(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for tool in request.get("tools") or ():
        described = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(described, dict) or not isinstance(described.get("name"), str):
            raise malformed("a tool has no name; only functions can be translated")
        if tool.get("type") not in (None, "function", "custom"):
            raise malformed(f"a tool of the type {str(tool['type'])[:100]!r} cannot be translated")
        found.append(described)
    return found


def _messages(request: Mapping[str, Any], dialect: Dialect) -> list[dict[str, Any]]:
    """The conversation in OpenAI's shape."""
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise malformed("`messages` is no list of messages")
    if dialect == "openai":
        return messages
    found: list[dict[str, Any]] = []
    if system := request.get("system"):
        found.append({"role": "system", "content": system if isinstance(system, str) else _joined(system)})
    for message in messages:
        found += _turned(message)
    return found


def _turned(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One of Anthropic's messages as OpenAI's; results of tools are messages of their own there."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"role": message.get("role"), "content": content}]
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    asked_for: list[dict[str, Any]] = []
    for block in content if isinstance(content, list) else ():
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "text":
            parts.append({"type": "text", "text": block.get("text", "")})
        elif kind == "tool_use":
            function = {
                "name": block.get("name"),
                "arguments": msgspec.json.encode(block.get("input")).decode(),
            }
            asked_for.append({"id": block.get("id"), "type": "function", "function": function})
        elif kind == "tool_result":
            said = block.get("content", "")
            text = said if isinstance(said, str) else _joined(said)
            results.append({"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": text})
        elif kind == "image" and (block.get("source") or {}).get("type") == "url":
            parts.append({"type": "image_url", "image_url": {"url": block["source"].get("url")}})
        else:
            raise malformed(f"content of the kind {kind!r} cannot be translated")
    if asked_for:
        return [{"role": "assistant", "content": _joined(parts) or None, "tool_calls": asked_for}]
    return [*results, *([{"role": message.get("role"), "content": parts}] if parts else [])]


def _joined(blocks: Any) -> str:
    if not isinstance(blocks, list) or any(
        not isinstance(each, dict) or each.get("type") != "text" for each in blocks
    ):
        raise malformed("only text can be translated here")
    return "".join(str(each.get("text", "")) for each in blocks)


def _value(messages: list[dict[str, Any]]) -> Any:
    """What the feature is called with: a single question's text, or the conversation."""
    only = messages[0]
    if len(messages) == 1 and only.get("role") == "user" and isinstance(only.get("content"), str):
        return only["content"]
    return messages


def _message(said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.content}
    return message | {"tool_calls": said.tool_calls} if said.tool_calls else message


def _openai(said: Said, answer_id: str) -> dict[str, Any]:
    usage = said.usage
    return {
        "id": f"chatcmpl-{answer_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": said.model,
        "choices": [
            {"index": 0, "message": _message(said), "logprobs": None, "finish_reason": said.finish_reason}
        ],
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        },
    }


def _openai_events(body: dict[str, Any], request: Mapping[str, Any]) -> bytes:
    usage, choice = body.pop("usage"), body["choices"][0]
    delta = choice["message"]
    for index, call in enumerate(delta.get("tool_calls", ())):
        call["index"] = index
    start = body | {"object": "chat.completion.chunk"}
    events = [
        start | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        start | {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
    ]
    if (request.get("stream_options") or {}).get("include_usage"):
        events.append(start | {"choices": [], "usage": usage})
    return b"".join(b"data: %b\n\n" % msgspec.json.encode(event) for event in events) + b"data: [DONE]\n\n"


def _anthropic(said: Said, answer_id: str) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": said.content}] if said.content else []
    for call in said.tool_calls:
        function = call["function"]
        arguments = msgspec.json.decode(function["arguments"] or "{}")
        content.append({"type": "tool_use", "id": call["id"], "name": function["name"], "input": arguments})
    reasons = {"tool_calls": "tool_use", "length": "max_tokens"}
    return {
        "id": f"msg_{answer_id}",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": content,
        "stop_reason": reasons.get(said.finish_reason, "end_turn"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": said.usage.input_tokens - said.usage.cached_tokens - said.usage.written_tokens,
            "cache_creation_input_tokens": said.usage.written_tokens,
            "cache_read_input_tokens": said.usage.cached_tokens,
            "output_tokens": said.usage.output_tokens,
        },
    }


def _anthropic_events(body: dict[str, Any]) -> bytes:
    content, reason = body["content"], body["stop_reason"]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": body | {"content": [], "stop_reason": None}}
    ]
    for index, block in enumerate(content):
        if block["type"] == "text":
            start: dict[str, Any] = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            start = block | {"input": {}}
            delta = {"type": "input_json_delta", "partial_json": msgspec.json.encode(block["input"]).decode()}
        events += [
            {"type": "content_block_start", "index": index, "content_block": start},
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
        ]
    usage = {"output_tokens": body["usage"]["output_tokens"]}
    events.append(
        {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}
    )
    events.append({"type": "message_stop"})
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event)) for event in events
    )
