"""Messages that an instrumentation has spread over many attributes, put together again as a chat.

OpenInference writes ``llm.input_messages.0.message.content``, OpenLLMetry ``gen_ai.prompt.0.content``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

PREFIXES: Final[Mapping[str, str]] = {
    "llm.input_messages": "input",
    "llm.output_messages": "output",
    "gen_ai.prompt": "input",
    "gen_ai.completion": "output",
    "retrieval.documents": "output",
    "reranker.output_documents": "output",
    "embedding.embeddings": "input",
}
_STARTS: Final = tuple(f"{prefix}." for prefix in PREFIXES)
_DEEPEST: Final = 12
_encode = msgspec.json.Encoder(enc_hook=str).encode


def prefix_of(name: str) -> str | None:
    """Which group of attributes a name belongs to."""
    if not name.startswith(_STARTS):
        return None
    return next(start[:-1] for start in _STARTS if name.startswith(start))


def messages_of(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Field ("input", "output"): the group's items as JSON text. A message has ``role``, ``content`` and
    ``tool_calls`` as in OpenAI's chat."""
    found: dict[str, str] = {}
    for prefix, attributes in groups.items():
        tree: dict[str, Any] = {}
        for name, value in attributes.items():
            _plant(tree, name[len(prefix) + 1 :].split(".", _DEEPEST), value)
        items = _grown(tree)
        if isinstance(items, list):
            items = [_message(item) for item in items]
        found.setdefault(PREFIXES[prefix], _encode(items).decode())
    return found


def _plant(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for step in path[:-1]:
        below = tree.get(step)
        if not isinstance(below, dict):
            below = tree[step] = {}
        tree = below
    tree[path[-1]] = value


def _grown(tree: Any) -> Any:
    """With lists where the keys are numbers."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isascii() and key.isdigit() and len(key) < 10 for key in tree):
        return [_grown(tree[key]) for key in sorted(tree, key=int)]
    return {key: _grown(value) for key, value in tree.items()}


def _message(item: Any) -> Any:
    for shell in ("message", "document", "embedding"):
        if isinstance(item, dict) and isinstance(item.get(shell), dict) and len(item) == 1:
            item = item[shell]
    if not isinstance(item, dict):
        return item
    message = {key: value for key, value in item.items() if key not in ("contents", "tool_calls")}
    if isinstance(parts := item.get("contents"), list):
        message["content"] = [_content(part) for part in parts]
    if isinstance(calls := item.get("tool_calls"), list):
        message["tool_calls"] = [_call(call) for call in calls]
    return message


def _content(part: Any) -> Any:
    inner = part.get("message_content") if isinstance(part, dict) else None
    if not isinstance(inner, dict):
        return part
    image = inner.get("image")
    if isinstance(image, dict) and isinstance(nested := image.get("image"), dict):
        return {"type": "image_url", "image_url": {"url": nested.get("url")}}
    return inner


def _call(call: Any) -> Any:
    inner = call.get("tool_call", call) if isinstance(call, dict) else call
    if not isinstance(inner, dict) or "function" in inner:
        return inner
    function = {key: inner[key] for key in ("name", "arguments") if key in inner}
    return {"id": inner.get("id"), "type": "function", "function": function}
