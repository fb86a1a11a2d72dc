"""What a model was sent and what it said, from the JSON text of a span: whichever of the usual shapes it has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from shiftright.evals.report.difference import cut, laid_out

CHARACTERS_A_TOKEN = 4
"""A rule of thumb for parts of a prompt whose tokens nobody counted; the whole is scaled to what was counted."""
KINDS = ("system", "history", "retrieved", "tools", "question")
_CONTENT = re.compile(r'"(?:content|text)"\s*:\s*"((?:[^"\\]|\\.)*)')
_TOOL_KINDS = ("tool_call", "tool_use", "function_call", "function")
_RESULT_KINDS = ("tool_result", "tool_call_response", "function_call_output")


class Piece(msgspec.Struct, frozen=True):
    """One part of a turn. ``kind`` is text, call, result or other; ``name`` is a tool's."""

    kind: str
    text: str
    name: str = ""


class Turn(msgspec.Struct, frozen=True):
    role: str
    pieces: tuple[Piece, ...]


class Share(msgspec.Struct, frozen=True):
    """Tokens of one kind in a model's context window, and where its bar begins (both also in percent)."""

    kind: str
    tokens: int
    start: float
    width: float


def turns(text: str) -> tuple[Turn, ...]:
    """The conversation in a span's input or output; a single turn without a role where it holds none."""
    if not text:
        return ()
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return (Turn("", (Piece("text", cut(laid_out(text))),)),)
    if isinstance(data, dict) and isinstance(data.get("messages"), list):
        data = data["messages"]
    if isinstance(data, dict) and "role" in data:
        data = [data]
    if isinstance(data, list) and data and all(isinstance(item, dict) and "role" in item for item in data):
        return tuple(Turn(str(item["role"])[:40], tuple(_pieces(item))) for item in data)
    return (Turn("", (Piece("text", cut(laid_out(data))),)),)


def _pieces(message: dict[str, Any]) -> Iterator[Piece]:
    content = message.get("content", message.get("parts"))
    name = str(message.get("name") or "")[:200]
    if message["role"] == "tool" and not isinstance(content, list):
        yield Piece("result", cut(laid_out(content)), name)
    elif isinstance(content, list):
        for part in content:
            yield _part(part)
    elif content is not None:
        yield Piece("text", cut(laid_out(content)), name)
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        yield _part(call)


def _part(part: Any) -> Piece:
    if not isinstance(part, dict):
        return Piece("text", cut(laid_out(part)))
    kind = str(part.get("type", ""))
    if kind in _TOOL_KINDS:
        inner = part.get("function") if isinstance(part.get("function"), dict) else part
        assert isinstance(inner, dict)
        given = inner.get("arguments", inner.get("input", inner.get("args")))
        return Piece("call", cut(laid_out(_decoded(given))), str(inner.get("name", ""))[:200])
    if kind in _RESULT_KINDS:
        given = part.get("content", part.get("response", part.get("result", part.get("output"))))
        return Piece("result", cut(laid_out(given)), str(part.get("name", ""))[:200])
    for key in ("text", "content", "thinking", "refusal"):
        if isinstance(part.get(key), str):
            return Piece("text", cut(laid_out(part[key])))
    return Piece("other", cut(laid_out(part)), kind[:40])


def _decoded(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return msgspec.json.decode(given)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return given


def window(conversation: Sequence[Turn], tokens: int, *, retrieved: Sequence[str] = ()) -> tuple[Share, ...]:
    """Who takes how much of the context window, in the order of ``KINDS``; the last user's turn is the question.

    ``tokens`` is what the provider counted for the whole input (0: unknown, then it is estimated); ``retrieved`` are
    texts of retrieval spans.
    """
    sizes = dict.fromkeys(KINDS, 0)
    last = max((i for i, turn in enumerate(conversation) if turn.role == "user"), default=-1)
    for i, turn in enumerate(conversation):
        for piece in turn.pieces:
            kind = "tools" if piece.kind in ("call", "result") or turn.role == "tool" else "history"
            if turn.role in ("system", "developer"):
                kind = "system"
            elif kind == "history" and i == last:
                kind = "question"
            found = sum(len(text) for text in retrieved if text and text in piece.text)
            taken = min(found, len(piece.text))
            sizes["retrieved"] += taken
            sizes[kind] += len(piece.text) - taken
    total = sum(sizes.values())
    if not total:
        return ()
    counted = tokens or max(total // CHARACTERS_A_TOKEN, 1)
    shares, start = [], 0.0
    for kind, size in sizes.items():
        if size:
            width = 100 * size / total
            shares.append(Share(kind, round(counted * size / total), round(start, 2), round(width, 2)))
            start += width
    return tuple(shares)


def preview(text: str) -> str:
    """One line of the beginning of a span's input or output: the words of its messages, not their JSON."""
    if text.startswith(("[", "{")):
        found = _CONTENT.findall(text)
        if found:
            return " · ".join(_unescaped(part) for part in found[-2:])
    if text.startswith('"'):
        return _unescaped(text[1:].removesuffix('"'))
    return text


def _unescaped(text: str) -> str:
    try:
        return msgspec.json.decode(f'"{text}"'.encode("utf-8", "replace"), type=str)
    except msgspec.DecodeError:
        return text
