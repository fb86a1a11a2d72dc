"""The list of models that genai-prices has prices of, as candidates for text. It never uses the network."""

from __future__ import annotations

import re
from functools import cache

import msgspec

# What pydantic-ai calls the providers of the price list, those that answer under a key of one's own.
SCHEMES = {
    "anthropic": "anthropic",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "google": "google",
    "groq": "groq",
    "mistral": "mistral",
    "moonshotai": "moonshotai",
    "openai": "openai",
    "together": "together",
    "x-ai": "xai",
}
# The list says nothing of what goes in and out; names do.
_NO_TEXT = re.compile(
    r"embed|tts|whisper|audio|image|realtime|transcri|moderation|rerank|ocr|guard|search|voice|voxtral|video|live|"
    r"orpheus|banana|computer-use|instruct-0|^ada$|babbage|curie|davinci|^ft:|\.ft-|:free|:extended|robotics",
    re.IGNORECASE,
)
# Generations that their makers have replaced more than once, which the list goes on pricing.
_REPLACED = re.compile(
    r"gpt-3|gpt-4$|gpt-4-|gpt-4\.5|gpt-4o-20|claude-[v123]|claude-instant|gemini-1|gemini-flash-1|gemini-pro|gemma-?2|"
    r"llama-?[23]|mixtral|mistral-7b|mistral-nemo|pixtral|command-r|command-light|aya|grok-[23]|deepseek-v3|"
    r"deepseek-chat|deepseek-reasoner|qwen-?[12]|qwen2|experimental|preview",
    re.IGNORECASE,
)
# Priced under a provider whose usual key does not open them.
_ELSEWHERE = re.compile(
    r"^google:(?!gemini)|^openai:.*(?:oss|codex)|^(?!groq|cerebras|together|fireworks).*:.*gpt-oss"
)
_SEES = re.compile(
    r"gpt-4o|gpt-4\.1|gpt-4-turbo|gpt-[5-9]|claude-(?:3|4|fable|haiku|mythos|opus|sonnet)|gemini|pixtral|vision|"
    r"llama-4|grok-4|mistral-(?:large-[4-9]|medium-3|small-(?:2603|3))",
    re.IGNORECASE,
)


class Listed(msgspec.Struct, frozen=True):
    """A model that answers with text. ``provider`` is the price list's id, ``scheme`` what stands before the colon of
    its name in a contract; ``context`` is its window in tokens. ``sees``: its name says that it reads images."""

    id: str
    provider: str
    scheme: str
    context: int
    sees: bool

    @property
    def name(self) -> str:
        return f"{self.scheme}:{self.id}"


@cache
def listed() -> tuple[Listed, ...]:
    """Every model of a provider that can be called directly, of a recent generation, whose window is known."""
    from genai_prices.data_snapshot import get_snapshot

    return tuple(
        Listed(
            model.id, provider.id, SCHEMES[provider.id], model.context_window, bool(_SEES.search(model.id))
        )
        for provider in get_snapshot().providers
        if provider.id in SCHEMES
        for model in provider.models
        if model.context_window
        and not model.deprecated
        and not _NO_TEXT.search(model.id)
        and not _REPLACED.search(model.id)
        and not _ELSEWHERE.search(f"{provider.id}:{model.id}")
    )
