"""Tools for models whose chat template knows none: described in the prompt, held to their schemas by the grammar."""

from __future__ import annotations

import json
import mmap
import struct
from pathlib import Path
from typing import Any

# What the grammar cannot express (formats, unique items) is left to validation. One JSON value in one line: a small
# model otherwise spends half its tokens, and so half the time, on indentation.
_GUIDANCE = {"whitespace_flexible": False, "key_separator": ": ", "item_separator": ", ", "lenient": True}
_TEMPLATE_KEY = b"tokenizer.chat_template"
_INTRODUCTION = (
    'These tools can be called, one a turn, by answering only with {"name": …, "arguments": {…}}:\n'
)


def template_has_tools(path: Path) -> bool:
    """Whether the chat template in a GGUF file renders tools (GGUF: key, u32 type, u64 length, text)."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_TEMPLATE_KEY)
        if at < 0:
            return False
        start = at + len(_TEMPLATE_KEY) + 4
        (length,) = struct.unpack_from("<Q", data, start)
        return b"tools" in data[start + 8 : start + 8 + length]


def json_grammar(schema: dict[str, Any]) -> str:
    """An llguidance grammar for one JSON value of this schema."""
    return f"%llguidance {{}}\nstart: {_json_rule(schema)}"


def with_tools_as_text(body: dict[str, Any]) -> dict[str, Any]:
    """The request with its tools as words, its grammar admitting calls (and, unless one is required, answers)."""
    tools = [tool["function"] for tool in body.pop("tools")]
    choice = body.pop("tool_choice", "auto")
    body.pop("parallel_tool_calls", None)
    schema = (body.pop("response_format", None) or {}).get("json_schema", {}).get("schema")
    described = _INTRODUCTION + "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    messages = [_as_text(message) for message in body["messages"]]
    # Some templates take one system message, and only at the start.
    if messages[0]["role"] == "system" and isinstance(messages[0]["content"], str):
        described = f"{messages.pop(0)['content']}\n\n{described}"
    body["messages"] = [{"role": "system", "content": described}, *messages]
    if isinstance(choice, dict):
        tools = [tool for tool in tools if tool["name"] == choice["function"]["name"]]
    calls = {
        "anyOf": [
            {
                "type": "object",
                "properties": {"name": {"const": tool["name"]}, "arguments": tool.get("parameters", {})},
                "required": ["name", "arguments"],
            }
            for tool in tools
        ]
    }
    answer = r"/[^{](.|\n)*/" if schema is None else _json_rule(schema)
    if choice == "none":
        body["grammar"] = f"%llguidance {{}}\nstart: {answer}"
    elif choice == "auto":
        body["grammar"] = (
            f"%llguidance {{}}\nstart: call | answer\ncall: {_json_rule(calls)}\nanswer: {answer}"
        )
    else:
        body["grammar"] = json_grammar(calls)
    return body


def read_call(answer: dict[str, Any], names: set[str]) -> None:
    """Turn an answer that is a call of one of these tools into OpenAI's form of it, in place."""
    choice = answer["choices"][0]
    try:
        call = json.loads(choice["message"].get("content") or "")
    except ValueError:
        return
    if not isinstance(call, dict) or call.keys() != {"name", "arguments"} or call["name"] not in names:
        return
    function = {"name": call["name"], "arguments": json.dumps(call["arguments"])}
    choice["message"] = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"call-{answer['id']}", "type": "function", "function": function}],
    }
    choice["finish_reason"] = "tool_calls"


def as_chunk(answer: dict[str, Any]) -> dict[str, Any]:
    """A whole answer as the only chunk of a stream."""
    choice = answer["choices"][0]
    delta = choice["message"]
    for position, call in enumerate(delta.get("tool_calls") or ()):
        call["index"] = position
    chunk = {"index": 0, "delta": delta, "finish_reason": choice["finish_reason"]}
    return {**answer, "object": "chat.completion.chunk", "choices": [chunk]}


def _as_text(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        return {"role": "user", "content": f"The tool answered: {message.get('content')}"}
    calls = message.get("tool_calls")
    if not calls:
        return message
    texts = [
        json.dumps(
            {"name": call["function"]["name"], "arguments": json.loads(call["function"]["arguments"] or "{}")}
        )
        for call in calls
    ]
    return {"role": "assistant", "content": "\n".join(texts)}


def _json_rule(schema: dict[str, Any]) -> str:
    return "%json " + json.dumps({"x-guidance": _GUIDANCE, **_closed(schema)})


def _closed(schema: Any) -> Any:
    """The schema with every object limited to the properties it names: else a small model invents more of them."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
