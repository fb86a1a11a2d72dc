"""Where models are asked: the usual environment variables, and ``shiftright.yaml`` in the project's root.

providers:
  vllm: {base_url: "http://gpu-1:8000/v1", api_key_env: VLLM_KEY, dialect: openai, timeout: 60 s}
gateway:
  default: openai                              # whose models are meant by names without a provider
  fallback: {"openai:gpt-5": ["vllm:qwen3"]}   # a model or feature, and what is asked when it fails
  cache: 10 min                                # equal requests get the kept answer; off unless set
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec

from shiftright.core.yaml_text import Map, Seq
from shiftright.errors import SpecError, UsageError
from shiftright.gateway.refusal import Dialect
from shiftright.spec import company

_TIMEOUT_S = 600.0  # what the official clients wait


class Provider(msgspec.Struct, frozen=True):
    """An address that speaks OpenAI's or Anthropic's protocol. ``timeout_s`` is the longest silence."""

    name: str
    base_url: str
    dialect: Dialect = "openai"
    api_key: str | None = None
    timeout_s: float = _TIMEOUT_S


class Configuration(msgspec.Struct, frozen=True):
    """``default`` is a provider's name; ``fallback`` maps a model or feature to the models asked after it."""

    providers: Mapping[str, Provider]
    default: str | None = None
    fallback: Mapping[str, tuple[str, ...]] = {}
    cache_s: float = 0.0


class _Known(NamedTuple):
    key: str
    address: str
    base_url: str = ""
    dialect: Dialect = "openai"


# Names are pydantic-ai's, so that a contract and a request say the same. Without a key: reachable all the same.
_KNOWN = {
    "openai": _Known("OPENAI_API_KEY", "OPENAI_BASE_URL", "https://api.openai.com/v1"),
    "anthropic": _Known("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "https://api.anthropic.com", "anthropic"),
    "cerebras": _Known("CEREBRAS_API_KEY", "", "https://api.cerebras.ai/v1"),
    "deepseek": _Known("DEEPSEEK_API_KEY", "", "https://api.deepseek.com/v1"),
    "fireworks": _Known("FIREWORKS_API_KEY", "", "https://api.fireworks.ai/inference/v1"),
    "groq": _Known("GROQ_API_KEY", "GROQ_BASE_URL", "https://api.groq.com/openai/v1"),
    "mistral": _Known("MISTRAL_API_KEY", "MISTRAL_BASE_URL", "https://api.mistral.ai/v1"),
    "moonshotai": _Known("MOONSHOTAI_API_KEY", "", "https://api.moonshot.ai/v1"),
    "ollama": _Known("OLLAMA_API_KEY", "OLLAMA_BASE_URL"),
    "openrouter": _Known("OPENROUTER_API_KEY", "", "https://openrouter.ai/api/v1"),
    "together": _Known("TOGETHER_API_KEY", "", "https://api.together.xyz/v1"),
    "xai": _Known("XAI_API_KEY", "", "https://api.x.ai/v1"),
}


def configure(root: Path, environment: Mapping[str, str]) -> Configuration:
    """The project's providers.

    Raises:
        SpecError: ``shiftright.yaml`` cannot be read, with the line.
    """
    providers = {name: found for name in _KNOWN if (found := _usual(name, environment)) is not None}
    document = company(root)
    if not document:
        return Configuration(providers)
    named = _mapping(document, "providers")
    for name in named:
        providers[name] = _provider(name, _mapping(named, name), environment, providers.get(name))
    rules = _mapping(document, "gateway")
    _only(rules, {"default", "fallback", "cache"}, "gateway")
    default = rules.get("default")
    if default is not None and default not in providers:
        raise _wrong(rules, "default", f"there is no provider {default!r}", f"Known: {', '.join(providers)}.")
    return Configuration(providers, default, _fallback(rules), _seconds(rules, "cache", 0.0))


def _usual(name: str, environment: Mapping[str, str]) -> Provider | None:
    known = _KNOWN[name]
    base_url = environment.get(known.address) or known.base_url
    if not base_url:
        return None
    return Provider(name, base_url.rstrip("/"), known.dialect, environment.get(known.key) or None)


def _provider(name: str, body: Map, environment: Mapping[str, str], usual: Provider | None) -> Provider:
    _only(body, {"base_url", "api_key_env", "dialect", "timeout"}, f"providers.{name}")
    base_url = body.get("base_url") or (usual.base_url if usual else None)
    if not isinstance(base_url, str) or not base_url.startswith(("http://", "https://")):
        raise SpecError(
            f"providers.{name}: base_url is no http(s) address",
            file=body.mark.file,
            line=body.mark.line,
            hint="Write it like base_url: https://host/v1",
        )
    dialect = body.get("dialect", usual.dialect if usual else "openai")
    if dialect not in get_args(Dialect):
        raise _wrong(body, "dialect", f"{dialect!r} is no dialect", "Use openai or anthropic.")
    # A key never goes to an address it was not meant for.
    key = usual.api_key if usual is not None and base_url.rstrip("/") == usual.base_url else None
    if (variable := body.get("api_key_env")) is not None:
        key = environment.get(str(variable))
        if not key:
            raise _wrong(body, "api_key_env", f"{variable} is not set", f"export {variable}=…")
    return Provider(name, base_url.rstrip("/"), dialect, key, _seconds(body, "timeout", _TIMEOUT_S))


def _fallback(rules: Map) -> dict[str, tuple[str, ...]]:
    found = {}
    body = _mapping(rules, "fallback")
    for name, models in body.items():
        if not isinstance(models, Seq) or not models or not all(isinstance(each, str) for each in models):
            raise _wrong(
                body, name, f"fallback of {name!r} is no list of models", 'Write ["openai:gpt-5-mini"].'
            )
        found[name] = tuple(models)
    return found


def _mapping(parent: Map, name: str) -> Map:
    body = parent.get(name)
    if body is None:
        return Map(parent.mark)
    if not isinstance(body, Map):
        raise _wrong(parent, name, f"{name} is not a mapping", "Write keys and values below it.")
    return body


def _only(body: Map, known: set[str], where: str) -> None:
    for name in body:
        if name not in known:
            raise _wrong(body, name, f"{where}: unknown key {name!r}", f"Known: {', '.join(sorted(known))}.")


def _seconds(body: Map, name: str, default: float) -> float:
    from shiftright.spec.values import duration

    if name not in body:
        return default
    try:
        return duration(body[name])
    except ValueError as cause:
        raise _wrong(body, name, f"{name}: {cause}", f"Write it like {name}: 60 s") from None


def _wrong(body: Map, name: str, message: str, hint: str) -> SpecError:
    mark = body.marks[name]
    return SpecError(message, file=mark.file, line=mark.line, hint=hint)


# "ft:gpt-4o:…" is a model's whole name.
_FIRST_PARTY = re.compile(
    r"(?:(?P<anthropic>claude-)|(?:ft:)?(?:gpt-|chatgpt-|o\d|text-embedding-|omni-moderation-|computer-use-))"
)


def split_name(name: str, default: str | None) -> tuple[str, str]:
    """Provider and model of ``provider:model``, or of a bare model of the default provider.

    Without a default OpenAI's and Anthropic's own names mean them: a program that is only pointed here says those.

    Raises:
        UsageError: for any other bare name without a default.
    """
    provider, colon, model = name.partition(":")
    if default is None and (known := _FIRST_PARTY.match(name)):
        return ("anthropic" if known["anthropic"] else "openai"), name
    if colon and provider and model:
        return provider, model
    if default is None or not name:
        raise UsageError(
            f"{name[:200]!r} names no provider",
            hint="Write provider:model, or set gateway: {default: …} in shiftright.yaml.",
        )
    return default, name
