"""The text of a request and of its answer: for spans, and for how much a call will cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from pydantic_ai.messages import ModelMessage, ModelResponse

_LONGEST_TEXT = 2_000
_ROLES = {"system-prompt": "system", "user-prompt": "user", "tool-return": "tool", "retry-prompt": "user"}


def characters(messages: Sequence[ModelMessage]) -> int:
    """How much text a request holds; images and files count nothing."""
    return sum(len(text) for _, text in _texts(messages))


def input_messages(messages: Sequence[ModelMessage]) -> str:
    """The request in OpenTelemetry's JSON form, each text cut to 2,000 characters."""
    return _json(_texts(messages))


def output_messages(response: ModelResponse) -> str:
    """The answer in OpenTelemetry's JSON form, each text cut to 2,000 characters."""
    return _json(_texts([response]))


def _texts(messages: Sequence[ModelMessage]) -> Iterator[tuple[str, str]]:
    for message in messages:
        instructions = getattr(message, "instructions", None)
        if instructions:
            yield "system", instructions
        for part in message.parts:
            role = _ROLES.get(part.part_kind, "assistant")
            if part.part_kind == "tool-call":
                yield role, f"{part.tool_name}({part.args})"
                continue
            content: Any = getattr(part, "content", None)
            for item in content if isinstance(content, (list, tuple)) else (content,):
                if item is not None:
                    yield role, item if isinstance(item, str) else type(item).__name__


def _json(texts: Iterator[tuple[str, str]]) -> str:
    return msgspec.json.encode(
        [{"role": role, "parts": [{"type": "text", "content": text[:_LONGEST_TEXT]}]} for role, text in texts]
    ).decode()
