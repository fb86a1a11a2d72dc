"""What is read of an answer once it has gone out: model, tokens, words, and whether it failed.

One set of structs reads all protocols (chat, completions, responses, messages, embeddings); whatever they do not
name passes unseen. Streams are kept as bytes while they run and read in one go at their end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from shiftright.core.answer import Usage, believable

_LARGEST_TEXT = 1_000_000
_END_MARKS = frozenset({"message_stop", "response.completed", "response.incomplete", "response.failed"})
_DONE = re.compile(rb"^data: ?\[DONE\]", re.MULTILINE)
_LAST_BYTES = 1_000
_CHARS_PER_TOKEN = 4


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = 0
    reasoning_tokens: int | None = 0
    thinking_tokens: int | None = 0


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Delta(msgspec.Struct, gc=False):
    content: Any = None
    text: str | None = None
    partial_json: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    message: msgspec.Raw = msgspec.Raw()
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Whole(msgspec.Struct, gc=False):
    """One JSON answer."""

    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    choices: list[_Choice] = []
    content: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()
    stop_reason: str | None = None
    error: Any = None


class _Event(msgspec.Struct, gc=False):
    """One event of a stream; Anthropic's and Responses' carry the answer one level down."""

    id: str | None = None
    type: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    choices: list[_Choice] = []
    delta: _Delta | str | None = None
    message: _Whole | None = None
    response: _Whole | None = None
    error: Any = None


class Read(msgspec.Struct):
    """``output`` is JSON text: a list of messages, or a list of output items. ``known`` says that the provider told
    the usage; ``ended`` that a stream came to its own end, and was not merely cut where an event ends."""

    model: str = ""
    usage: Usage = Usage()
    known: bool = False
    output: str = ""
    response_id: str = ""
    finish_reason: str = ""
    error: str | None = None
    ended: bool = True
    answered: bool = True
    """False of an error and nothing else, which nobody charges."""
    events: int = 0
    """Of a stream; 0 for a whole answer."""
    size: int = 0
    """Bytes that were read."""

    def guessed_tokens(self, sent_bytes: int) -> int:
        """Tokens of an answer whose provider did not tell them: of a stream at least one for each event."""
        if not self.events:
            return tokens_in(sent_bytes)
        # of a very long stream the middle was not kept
        return max(tokens_in(len(self.output)), self.events) * max(1, sent_bytes // self.size)


_whole = msgspec.json.Decoder(_Whole)
_event = msgspec.json.Decoder(_Event)
_all_events = msgspec.json.Decoder(list[_Event])
_nothing = Read()


def read_whole(body: bytes) -> Read:
    """A JSON answer; one that cannot be read says nothing."""
    try:
        whole = _whole.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Read(error="the provider's answer cannot be read")
    return _of_whole(whole)


def _of_whole(whole: _Whole) -> Read:
    usage = _usage(whole.usage)
    if whole.choices:
        messages = [str(bytes(choice.message), "utf-8") for choice in whole.choices if choice.message]
        output = f"[{','.join(messages)}]"
        reason = whole.choices[0].finish_reason
    elif whole.content:
        output = f'[{{"role":"assistant","content":{str(bytes(whole.content), "utf-8")}}}]'
        reason = whole.stop_reason
    else:
        output = str(bytes(whole.output), "utf-8")
        reason = None
    read = Read(whole.model or "", usage or Usage(), usage is not None, output, whole.id or "", reason or "")
    if whole.error:
        # some providers say so with status 200
        read.error = f"the provider answered with an error: {str(whole.error)[:500]}"
        read.answered = read.known or bool(output)
    return read


def read_stream(chunks: Sequence[bytes]) -> Read:
    """The events of a stream, as far as they are whole and can be read."""
    stream = b"".join(chunks)
    read = Read(ended=_DONE.search(stream, max(0, len(stream) - _LAST_BYTES)) is not None)
    words: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    events = _events(stream)
    read.events, read.size = len(events), len(stream)
    for event in events:
        _take(event, read, words, calls)
    if not read.output:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(words)[:_LARGEST_TEXT]}
        if calls:
            message["tool_calls"] = [calls[index] for index in sorted(calls)]
        read.output = msgspec.json.encode([message]).decode()
    return read


def _events(stream: bytes) -> list[_Event]:
    lines = [
        line[5:] for line in stream.splitlines() if line.startswith(b"data:") and not line.endswith(b"[DONE]")
    ]
    try:
        # all at once: a call for each would cost more than the reading
        return _all_events.decode(b"[%b]" % b",".join(lines))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [event for line in lines if (event := _one_event(line)) is not None]


def _one_event(line: bytes) -> _Event | None:
    try:
        return _event.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # cut by the stream's end, or of a kind that is not ours to read


def _take(event: _Event, read: Read, words: list[str], calls: dict[int, dict[str, Any]]) -> None:
    for choice in event.choices:
        if choice.index == 0 and choice.delta is not None:
            _take_delta(choice.delta, words, calls)
        if choice.finish_reason is not None:
            # not every compatible server sends [DONE] after it
            read.finish_reason, read.ended = choice.finish_reason, True
    if event.type in _END_MARKS:
        read.ended = True
    if event.delta is not None and isinstance(event.delta, _Delta):
        _take_delta(event.delta, words, calls)
    if event.model:
        read.model, read.response_id = event.model, event.id or read.response_id
    if event.usage is not None and (usage := _usage(event.usage, read.usage)) is not None:
        read.usage, read.known = usage, True
    inner = event.message or event.response
    if inner is not None:
        whole = _of_whole(inner)
        read.model, read.response_id = whole.model or read.model, whole.response_id
        if whole.known:
            read.usage, read.known = whole.usage, True
        if event.response is not None and event.type == "response.completed":
            read.output = whole.output
    error = event.error or (event.response.error if event.response else None)
    if error is not None:
        read.error = f"the provider broke off: {str(error)[:500]}"


def _take_delta(delta: _Delta, words: list[str], calls: dict[int, dict[str, Any]]) -> None:
    word = delta.text or delta.content
    if isinstance(word, str):
        words.append(word)
    for call in delta.tool_calls or ():
        _add_call(calls, call)


def _add_call(calls: dict[int, dict[str, Any]], call: dict[str, Any]) -> None:
    index = call.get("index", 0)
    whole = calls.setdefault(index if isinstance(index, int) else 0, {"type": "function", "function": {}})
    if call.get("id"):
        whole["id"] = call["id"]
    function = call.get("function")
    for name, value in function.items() if isinstance(function, dict) else ():
        before = whole["function"].get(name)
        whole["function"][name] = (
            before + value if isinstance(before, str) and isinstance(value, str) else value
        )


def _usage(said: _Usage | None, before: Usage = _nothing.usage) -> Usage | None:
    """Tokens as ours: input includes what came from the provider's cache. Later events replace what they name."""
    if said is None:
        return None
    usage = _stated(said, before)
    tokens = believable(usage.input_tokens)
    cached = min(believable(usage.cached_tokens), tokens)
    return Usage(
        tokens,
        believable(usage.output_tokens),
        cached,
        believable(usage.reasoning_tokens),
        min(believable(usage.written_tokens), tokens - cached),
    )


def _stated(said: _Usage, before: Usage) -> Usage:
    if said.prompt_tokens is not None:
        inputs, outputs = said.prompt_tokens_details, said.completion_tokens_details
        return Usage(
            said.prompt_tokens,
            said.completion_tokens or 0,
            (inputs.cached_tokens or 0) if inputs else 0,
            (outputs.reasoning_tokens or 0) if outputs else 0,
        )
    inputs, outputs = said.input_tokens_details, said.output_tokens_details
    reasoning = (outputs.reasoning_tokens or outputs.thinking_tokens or 0) if outputs else 0
    cached = said.cache_read_input_tokens or 0
    written = said.cache_creation_input_tokens or 0
    beside = cached + written
    cached = cached or ((inputs.cached_tokens or 0) if inputs else 0)
    if said.input_tokens is None:
        tokens, cached, written = before.input_tokens, before.cached_tokens, before.written_tokens
    else:
        tokens = said.input_tokens + beside
    output = before.output_tokens if said.output_tokens is None else said.output_tokens
    return Usage(tokens, output, cached, reasoning or before.reasoning_tokens, written)


def tokens_in(characters: int) -> int:
    """Where nobody counted them, for budgets only."""
    return characters // _CHARS_PER_TOKEN + 1
