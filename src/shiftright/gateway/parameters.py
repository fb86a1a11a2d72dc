"""What a request to be translated says beside its messages: carried over, of no effect on the answer, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shiftright.gateway.refusal import Dialect, Refusal, malformed

_SAME = (
    "temperature",
    "top_p",
    "seed",
    "max_tokens",
    "presence_penalty",
    "frequency_penalty",
    "parallel_tool_calls",
)
_BOTH = frozenset(
    {"model", "messages", "stream", "max_tokens", "temperature", "top_p", "tools", "tool_choice", "metadata"}
)
# The last ones say who asks, and how an answer is to be kept or cached: none of them changes it.
_KNOWN: Mapping[Dialect, frozenset[str]] = {
    "openai": _BOTH
    | {
        "seed", "presence_penalty", "frequency_penalty", "parallel_tool_calls", "max_completion_tokens", "stop",
        "response_format", "reasoning_effort", "stream_options",
        "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "store",
    },
    "anthropic": _BOTH | {"system", "stop_sequences", "thinking", "context_management", "cache_control"},
}  # fmt: skip
# Values that ask for nothing special.
_USUAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "service_tier": ("auto", "default", "standard_only"),
}
_CHOICES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
_FOR_FEATURES = ("tools", "tool_choice", "response_format")


def check(request: Mapping[str, Any], dialect: Dialect, *, feature: bool) -> None:
    """
    Raises:
        Refusal: 400 for what would be lost.
    """
    for name, value in request.items():
        if value is None or value in _USUAL.get(name, ()):
            continue
        if name not in _KNOWN[dialect]:
            raise _lost(name, "Leave it out, or ask a model whose provider speaks this protocol.")
        if feature and name in _FOR_FEATURES and value not in ([], "none", "auto", {"type": "text"}):
            raise _lost(name, "A feature has its own tools and its own shape of answer.")


def settings_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """pydantic-ai's ModelSettings."""
    settings = {key: request[key] for key in _SAME if request.get(key) is not None}
    if (longest := request.get("max_completion_tokens")) is not None:
        settings["max_tokens"] = longest
    if stop := request.get("stop") or request.get("stop_sequences"):
        settings["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if (effort := request.get("reasoning_effort")) is not None:
        settings["thinking"] = False if effort == "none" else effort
    if isinstance(thinking := request.get("thinking"), dict):
        settings["thinking"] = thinking.get("type") != "disabled"
    if (choice := request.get("tool_choice")) is not None:
        settings["tool_choice"] = _choice(choice)
        if isinstance(choice, dict) and choice.get("disable_parallel_tool_use"):
            settings["parallel_tool_calls"] = False
    return settings


def output_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """The shape the answer is to have, as arguments of pydantic-ai's ModelRequestParameters."""
    from pydantic_ai.output import OutputObjectDefinition

    asked = request.get("response_format")
    match asked:
        case None | {"type": "text"}:
            return {}
        case {"type": "json_object"}:
            return {"output_mode": "prompted", "output_object": OutputObjectDefinition({"type": "object"})}
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)} as named}:
            shape = OutputObjectDefinition(
                schema, named.get("name"), named.get("description"), named.get("strict")
            )
            return {"output_mode": "native", "output_object": shape}
    raise malformed("`response_format` is none of text, json_object and json_schema with a schema")


def _choice(choice: Any) -> Any:
    match choice:
        case str() if choice in _CHOICES:
            return _CHOICES[choice]
        case {"type": "function", "function": {"name": str(name)}} | {"type": "tool", "name": str(name)}:
            return [name]
        case {"type": str(kind)} if kind in _CHOICES:
            return _CHOICES[kind]
    raise _lost("tool_choice", "It may be auto, none, any tool, or one of them.")


def _lost(name: str, hint: str) -> Refusal:
    return Refusal(400, "not_supported", f"`{name[:100]}` cannot be translated as it is", hint=hint)
