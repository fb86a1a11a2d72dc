"""An OpenAI-compatible API under a name of its own."""

from __future__ import annotations

import httpx2
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.providers.litellm import LiteLLMProvider
from pydantic_ai.providers.openai import OpenAIProvider


class AddressProvider(OpenAIProvider):
    """The API at ``base_url``; prices, settings and spans go by ``name``, not by OpenAI's.

    pydantic-ai's own provider of this kind came with 2.63, and pydantic-evals holds some environments before it.
    """

    def __init__(
        self, name: str, *, base_url: str, api_key: str | None, http_client: httpx2.AsyncClient | None = None
    ) -> None:
        self._name = name
        # Without a key of ours the SDK would send OPENAI_API_KEY to this address.
        super().__init__(base_url=base_url, api_key=api_key or "none", http_client=http_client)

    @property
    def name(self) -> str:
        return self._name

    @staticmethod
    def model_profile(model_name: str) -> ModelProfile | None:
        """By the vendor in ``vendor/model``, without what only OpenAI's own API can do."""
        return LiteLLMProvider.model_profile(model_name)
