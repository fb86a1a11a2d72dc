"""A trace as one exchange: what went in, what came out, what it took. Reviews, cases and drafts are made of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from shiftright.core.trace import SpanRow
from shiftright.tracing import attributes as names

Lookup = Callable[[str], Sequence[SpanRow]]
"""All spans of a trace by its id, none when it is not stored (``TelemetryStore.trace``)."""

_TELLING = ("feature", "chat", "agent")
"""Which span says what the exchange was: the outermost of the first of these kinds that has an input."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """``value`` is what the feature was given: data, a text, or a conversation as a list of messages; ``system`` the
    system message before it. ``output`` is its answer as data. ``cost_usd`` is None where a price is not known."""

    trace_id: str
    feature: str = ""
    variant: str = ""
    provider: str = ""
    model: str = ""
    value: Any = None
    system: str | None = None
    output: Any = None
    error: str | None = None
    latency_s: float = 0.0
    cost_usd: float | None = 0.0
    user: str = ""
    session: str = ""

    def subject(self) -> dict[str, Any]:
        """What a reviewer is shown, as it was: retention may take the trace before the review is done."""
        return {
            "input": self.value,
            "output": self.output,
            "error": self.error,
            "variant": self.variant,
            "model": self.model,
            "user": self.user,
            "session": self.session,
        }


def exchange(spans: Sequence[SpanRow]) -> Exchange | None:
    """The exchange of one trace; None where no span of it holds an input."""
    told = _telling(spans)
    if told is None:
        return None
    root = next((span for span in spans if not span.parent_span_id), told)
    given, answered = _data(told.input), _data(told.output)
    system: str | None = None
    if told.operation != "feature":
        system, given = _conversation(given)
        answered = _answer(answered)
    costs = [span.cost_usd for span in spans]
    unpriced = any(cost is None for cost in costs)
    model = next((span for span in spans if span.model), told)

    def named(field: str) -> str:
        return next((text for span in (told, root, *spans) if (text := getattr(span, field))), "")

    return Exchange(
        trace_id=told.trace_id,
        feature=named("feature"),
        variant=named("variant"),
        provider=model.provider,
        # what was asked for: a contract names models as requests do, and answers name them otherwise
        model=str(model.attributes.get(names.REQUEST_MODEL) or model.model),
        value=given,
        system=system,
        output=answered,
        error=told.error or root.error,
        latency_s=max(told.end_ns - told.start_ns, 0) / 1e9,
        cost_usd=None if unpriced else sum(cost for cost in costs if cost is not None),
        user=named("user"),
        session=named("session"),
    )


def text_of(value: Any) -> str:
    """What a person would read of an input: its text, the last thing said in a conversation, other data as JSON."""
    if isinstance(value, str):
        return value
    if is_conversation(value):
        said = [_text(turn) for turn in value if turn.get("role") == "user"]
        return str(said[-1] if said else _text(value[-1]))
    return msgspec.json.encode(value, order="sorted").decode("utf-8", "replace")


def _telling(spans: Sequence[SpanRow]) -> SpanRow | None:
    for kind in _TELLING:
        found = [span for span in spans if span.operation == kind and span.input]
        if found:
            return min(found, key=lambda span: (span.start_ns, bool(span.parent_span_id)))
    return next((span for span in spans if span.input), None)


def _data(text: str) -> Any:
    """JSON, or the text that it is where an instrumentation wrote plain text."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def _conversation(given: Any) -> tuple[str | None, Any]:
    """(system message, the rest): a single user message is the text it is."""
    if isinstance(given, dict) and is_conversation(given.get("messages")):
        given = given["messages"]
    if not is_conversation(given):
        return None, given
    turns = [_turn(message) for message in given]
    systems = [_text(turn) for turn in turns if turn["role"] in ("system", "developer")]
    rest = [turn for turn in turns if turn["role"] not in ("system", "developer")]
    system = "\n\n".join(systems) if systems else None
    if len(rest) == 1 and rest[0]["role"] == "user" and isinstance(rest[0]["content"], str):
        return system, rest[0]["content"]
    return system, rest


def _answer(answered: Any) -> Any:
    """The last message's text, as data where it is a JSON object or list."""
    if isinstance(answered, dict) and ("content" in answered or "parts" in answered) and "role" in answered:
        answered = [answered]
    if is_conversation(answered):
        last = _turn(answered[-1])
        if not isinstance(last["content"], str) or last.get("tool_calls"):
            return last
        answered = last["content"]
    if isinstance(answered, str) and answered.lstrip()[:1] in ("{", "["):
        return _data(answered)
    return answered


def is_conversation(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(turn, dict)
            and isinstance(turn.get("role"), str)
            and ("content" in turn or "parts" in turn)
            for turn in value
        )
    )


def _turn(message: dict[str, Any]) -> dict[str, Any]:
    """A message in OpenAI's shape: OpenTelemetry's text parts as one text, other parts as they are."""
    if "parts" not in message:
        content = message["content"]
        parts = content if isinstance(content, list) else []
        texts = [
            part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
        ]
        return {**message, "content": "".join(texts)} if texts and len(texts) == len(parts) else message
    parts = message["parts"]
    plain = isinstance(parts, list) and all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("content"), str)
        for part in parts
    )
    return {
        "role": message["role"],
        "content": "".join(part["content"] for part in parts) if plain else parts,
    }


def _text(turn: dict[str, Any]) -> str:
    content = turn.get("content")
    return content if isinstance(content, str) else msgspec.json.encode(content).decode("utf-8", "replace")
