"""OpenAI's chat messages as pydantic-ai's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_ai.messages import (
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from shiftright.errors import UsageError

_HINT = 'A message is {"role": "system" | "user" | "assistant" | "tool", "content": "…"}.'


def messages_of(prompt: str | Sequence[Mapping[str, Any]]) -> list[ModelMessage]:
    """A prompt, or a conversation in OpenAI's chat form (tool calls and image URLs included).

    Raises:
        UsageError: when a message has no known role or its content cannot be read.
    """
    if isinstance(prompt, str):
        return [ModelRequest(parts=[UserPromptPart(prompt)])]
    found: list[ModelMessage] = []
    tools: dict[str, str] = {}
    waiting: list[ModelRequestPart] = []
    for position, message in enumerate(prompt):
        if message.get("role") == "assistant":
            if waiting:
                found.append(ModelRequest(parts=waiting))
                waiting = []
            found.append(ModelResponse(parts=_answer(message, tools, position)))
        else:
            waiting.append(_request_part(message, tools, position))
    if waiting:
        found.append(ModelRequest(parts=waiting))
    if not found:
        raise UsageError("there is no message to send", hint=_HINT)
    return found


def _request_part(message: Mapping[str, Any], tools: dict[str, str], position: int) -> ModelRequestPart:
    match message.get("role"):
        case "system" | "developer":
            return SystemPromptPart(_text(message, position))
        case "user":
            content = message.get("content")
            if isinstance(content, list):
                return UserPromptPart([_content(item, position) for item in content])
            return UserPromptPart(_text(message, position))
        case "tool":
            called = str(message.get("tool_call_id", ""))
            return ToolReturnPart(tools.get(called, "tool"), message.get("content"), tool_call_id=called)
        case role:
            raise UsageError(f"message {position} has the role {role!r}", hint=_HINT)


def _answer(message: Mapping[str, Any], tools: dict[str, str], position: int) -> list[ModelResponsePart]:
    parts: list[ModelResponsePart] = []
    if message.get("content") is not None:
        parts.append(TextPart(_text(message, position)))
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        name, called = str(function.get("name", "")), str(call.get("id", ""))
        tools[called] = name
        parts.append(ToolCallPart(name, function.get("arguments"), tool_call_id=called))
    return parts


def _content(item: Any, position: int) -> str | ImageUrl:
    if isinstance(item, Mapping):
        if item.get("type") == "text" and isinstance(item.get("text"), str):
            return str(item["text"])
        address = item.get("image_url")
        if item.get("type") == "image_url" and isinstance(address, Mapping):
            return ImageUrl(str(address.get("url")))
    raise UsageError(f"message {position} has content of an unknown kind: {str(item)[:80]}", hint=_HINT)


def _text(message: Mapping[str, Any], position: int) -> str:
    content = message.get("content")
    if isinstance(content, list):
        texts = [_content(item, position) for item in content]
        if all(isinstance(text, str) for text in texts):
            return "".join(str(text) for text in texts)
    if not isinstance(content, str):
        raise UsageError(f"message {position} has no text", hint=_HINT)
    return content
