"""The one table from everybody's attribute names to the fields of a span.

Read are OpenTelemetry's GenAI conventions (the current names and those before), OpenInference (Phoenix, Arize),
OpenLLMetry (Traceloop), the Vercel AI SDK, and pydantic-ai with Logfire. A name that is not in the table stays an
attribute; so does a value that loses to another name's and differs from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from shiftright.core.answer import believable
from shiftright.core.trace import Operation
from shiftright.tracing import attributes as names
from shiftright.tracing.flattened import messages_of, prefix_of

TABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "operation": (
        names.OPERATION,
        "openinference.span.kind",
        "traceloop.span.kind",
        "llm.request.type",
        "ai.operationId",
    ),
    "provider": (names.PROVIDER, "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider"),
    "model": (
        names.RESPONSE_MODEL,
        "ai.response.model",
        "llm.response.model",
        names.REQUEST_MODEL,
        "llm.model_name",
        "llm.request.model",
        "embedding.model_name",
        "reranker.model_name",
        "ai.model.id",
    ),
    "response_id": (names.RESPONSE_ID, "ai.response.id", "llm.response.id"),
    "input_tokens": (
        names.INPUT_TOKENS,
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
        "ai.usage.tokens",
    ),
    "output_tokens": (
        names.OUTPUT_TOKENS,
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
    ),
    "cached_tokens": (
        names.CACHE_READ_TOKENS,
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.cached_tokens",
        "llm.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
        "ai.usage.cachedInputTokens",
    ),
    "written_tokens": (
        names.CACHE_CREATION_TOKENS,
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "llm.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning_tokens": (
        names.REASONING_TOKENS,
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "ai.usage.reasoningTokens",
    ),
    "cost_usd": (names.COST_USD, "operation.cost", "gen_ai.usage.cost", "llm.cost.total", "llm.usage.cost"),
    "input": (
        names.INPUT_MESSAGES,
        "pydantic_ai.all_messages",
        "ai.prompt.messages",
        names.TOOL_CALL_ARGUMENTS,
        "tool_arguments",
        "ai.toolCall.args",
        "gen_ai.prompt",
        "gen_ai.retrieval.query.text",
        "input.value",
        "traceloop.entity.input",
        "ai.prompt",
        "ai.value",
        "ai.values",
    ),
    "output": (
        names.OUTPUT_MESSAGES,
        "ai.response.object",
        "ai.response.text",
        "ai.response.toolCalls",
        names.TOOL_CALL_RESULT,
        "tool_response",
        "ai.toolCall.result",
        "gen_ai.completion",
        "final_result",
        "output.value",
        "traceloop.entity.output",
    ),
    "feature": (names.FEATURE, "ai.telemetry.functionId"),
    "variant": (names.VARIANT,),
    "release": (names.RELEASE, "langfuse.release", "service.version"),
    "user": (
        names.USER_ID,
        "enduser.id",
        "gen_ai.user.id",
        "langfuse.user.id",
        "traceloop.association.properties.user_id",
        "ai.telemetry.metadata.userId",
    ),
    "session": (
        names.SESSION_ID,
        names.CONVERSATION_ID,
        "langfuse.session.id",
        "traceloop.association.properties.session_id",
        "ai.telemetry.metadata.sessionId",
    ),
}
"""Field: the names it goes by, the one that counts first."""

OPERATIONS: Final[Mapping[str, Operation]] = {
    "chat": "chat",
    "text_completion": "chat",
    "completion": "chat",
    "generate_content": "chat",
    "llm": "chat",
    "ai.generatetext.dogenerate": "chat",
    "ai.streamtext.dostream": "chat",
    "ai.generateobject.dogenerate": "chat",
    "ai.streamobject.dostream": "chat",
    "embeddings": "embeddings",
    "embedding": "embeddings",
    "ai.embed.doembed": "embeddings",
    "ai.embedmany.doembed": "embeddings",
    "feature": "feature",
    "agent": "agent",
    "create_agent": "agent",
    "invoke_agent": "agent",
    "invoke_workflow": "agent",
    "workflow": "agent",
    "ai.generatetext": "agent",
    "ai.streamtext": "agent",
    "ai.generateobject": "agent",
    "ai.streamobject": "agent",
    "tool": "tool",
    "execute_tool": "tool",
    "ai.toolcall": "tool",
    "retrieval": "retrieval",
    "retriever": "retrieval",
    "reranker": "retrieval",
    "rerank": "retrieval",
    "guardrail": "guardrail",
    "apply_guardrail": "guardrail",
}
"""Values of the operation's names, in small letters; any other is "other"."""

MODEL_CALLS: Final = ("chat", "embeddings")

PROVIDERS: Final[Mapping[str, str]] = {
    "gcp": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "vertexai": "google",
    "google_genai": "google",
    "bedrock": "aws",
    "amazon": "aws",
    "azure_openai": "azure",
    "az": "azure",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "moonshot_ai": "moonshotai",
}
"""The first part of what instrumentations call a provider: its id in the price list, where the two differ."""

_SLOTS: Final = {
    name: (field, rank) for field, candidates in TABLE.items() for rank, name in enumerate(candidates)
}
_TOKENS: Final = ("input_tokens", "output_tokens", "cached_tokens", "written_tokens", "reasoning_tokens")
_PARAMETERS: Final = ("llm.invocation_parameters", "embedding.invocation_parameters")
_MOST_USD: Final = 1e6
"""One span states no more, or what it states is not believed: sums of them stay amounts of money."""
_encode = msgspec.json.Encoder(enc_hook=str).encode


def list_provider(provider: str) -> str | None:
    """The price list's id of a provider: ``gcp.gemini`` and ``google.generative-ai`` are google."""
    first = provider.strip().lower().partition(".")[0].partition(" ")[0]
    return PROVIDERS.get(first, first) or None


class Meaning:
    """What the attributes of one span say: ``fields`` of SpanRow, and the attributes that are left."""

    __slots__ = ("fields", "rest")

    def __init__(self, fields: dict[str, Any], rest: dict[str, Any]) -> None:
        self.fields = fields
        self.rest = rest


def read(attributes: Iterable[tuple[str, Any]]) -> Meaning:
    """The fields that a span's attributes give.

    ``cost_usd`` is None for a model call that states none, 0.0 for any other span. Only a model call has tokens of its
    own: what an agent or a chain states is the sum of its children's and stays an attribute.
    """
    found: dict[str, tuple[int, str, Any]] = {}
    rest: dict[str, Any] = {}
    flat: dict[str, dict[str, Any]] = {}
    for name, value in attributes:
        slot = _SLOTS.get(name)
        if slot is None:
            if (prefix := prefix_of(name)) is not None:
                flat.setdefault(prefix, {})[name] = value
            else:
                rest[name] = value
            continue
        field, rank = slot
        held = found.get(field)
        if held is None:
            found[field] = (rank, name, value)
        elif rank < held[0]:
            if held[2] != value:
                rest[held[1]] = held[2]
            found[field] = (rank, name, value)
        elif held[2] != value:
            rest[name] = value
    return _meaning(found, rest, flat)


def _meaning(
    found: dict[str, tuple[int, str, Any]], rest: dict[str, Any], flat: dict[str, dict[str, Any]]
) -> Meaning:
    fields: dict[str, Any] = {}
    if "model" not in found:
        for name in _PARAMETERS:
            if (asked := _asked_model(rest.get(name))) is not None:
                found["model"] = (0, "", asked)
    stated = found.pop("operation", None)
    operation = _operation(stated, found, rest)
    fields["operation"] = operation
    usage: dict[str, tuple[int, str, Any]] = {field: found.pop(field) for field in _TOKENS if field in found}
    stated_cost = found.pop("cost_usd", None)
    if operation in MODEL_CALLS and names.USAGE_ON not in rest:
        _set_usage(fields, usage, rest)
        fields["cost_usd"] = None if stated_cost is None else _amount(stated_cost[2])
    else:
        fields["cost_usd"] = 0.0
        rest.update({name: value for _, name, value in usage.values()})
        if stated_cost is not None:
            if stated_cost[1] == names.COST_USD:  # ours never says a cost twice
                fields["cost_usd"] = _amount(stated_cost[2])
            else:
                rest[stated_cost[1]] = stated_cost[2]
    if (identifier := found.pop("response_id", None)) is not None:
        rest[names.RESPONSE_ID] = identifier[2]
    elif operation in MODEL_CALLS and (told := _told_id(found.get("output"))) is not None:
        rest[names.RESPONSE_ID] = told
    for field, messages in messages_of(flat).items():
        if (raw := found.get(field)) is not None:
            rest[raw[1]] = raw[2]
        found[field] = (0, field, messages)
    for field, (_, _, value) in found.items():
        fields[field] = value if isinstance(value, str) else _encode(value).decode()
    return Meaning(fields, rest)


def _asked_model(parameters: Any) -> str | None:
    """OpenInference names the model of a call that failed among its parameters only."""
    if not isinstance(parameters, str):
        return None
    try:
        return msgspec.json.decode(parameters, type=_Parameters).model
    except msgspec.DecodeError:
        return None


def _told_id(output: tuple[int, str, Any] | None) -> str | None:
    """OpenInference writes the response's id nowhere but in the answer as the client or LangChain had it."""
    if output is None or output[1] != "output.value" or not isinstance(output[2], str):
        return None
    try:
        answer = _decode_answer(output[2])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if answer.llm_output is not None:
        return answer.llm_output.id
    # an id beside no choices is a word of the model's
    return answer.id if answer.choices is not None else None


class _LangChain(msgspec.Struct):
    id: str | None = None


class _Answer(msgspec.Struct):
    id: str | None = None
    choices: list[msgspec.Raw] | None = None
    llm_output: _LangChain | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode


class _Parameters(msgspec.Struct):
    model: str | None = None


def _operation(
    stated: tuple[int, str, Any] | None, found: Mapping[str, Any], rest: dict[str, Any]
) -> Operation:
    if stated is None:
        # Some instrumentations name a model and its usage, and nothing else.
        return "chat" if "model" in found and "output_tokens" in found else "other"
    said = str(stated[2])
    operation = OPERATIONS.get(said.lower(), "other")
    if operation == "other" or said != operation:
        rest[stated[1]] = stated[2]
    return operation


def _set_usage(
    fields: dict[str, Any], usage: Mapping[str, tuple[int, str, Any]], rest: dict[str, Any]
) -> None:
    counts = {field: _count(value) for field, (_, _, value) in usage.items()}
    cached, written = counts.get("cached_tokens", 0), counts.pop("written_tokens", 0)
    if "input_tokens" in counts and counts["input_tokens"] < cached + written:
        # Anthropic's own numbers leave out what went through the cache; ours (and OpenTelemetry's) have all of it.
        counts["input_tokens"] = believable(counts["input_tokens"] + cached + written)
    if written:
        rest[names.CACHE_CREATION_TOKENS] = written
    fields.update(counts)


def _count(value: Any) -> int:
    try:
        return believable(int(value))
    except (TypeError, ValueError, OverflowError):
        return 0


def _amount(value: Any) -> float | None:
    try:
        amount = float(value)
    except (TypeError, ValueError):
        return None
    return amount if 0 <= amount <= _MOST_USD else None
