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
    """Every model of a provider that can be called directly, whose window and price are known."""
    from genai_prices.data_snapshot import get_snapshot

    return tuple(
        Listed(
            model.id, provider.id, SCHEMES[provider.id], model.context_window, bool(_SEES.search(model.id))
        )
        for provider in get_snapshot().providers
        if provider.id in SCHEMES
        for model in provider.models
        if model.context_window and not model.deprecated and not _NO_TEXT.search(model.id)
    )
