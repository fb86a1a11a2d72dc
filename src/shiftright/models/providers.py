"""Models behind an API: every provider pydantic-ai knows, and any OpenAI-compatible address."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, infer_model
from pydantic_ai.providers import Provider, infer_provider, infer_provider_class

from shiftright.errors import CredentialsError, MissingDependency, SpecError
from shiftright.models.keyless import PLACEHOLDER, Keyless

_VARIABLE = re.compile(r"`([A-Z][A-Z0-9_]+)` environment variable")
# Names of the OpenAI protocol itself: with a `base_url` they name the model at that address.
_PROTOCOLS = ("openai:", "openai-chat:")
_EXTRAS = frozenset({"anthropic", "google"})


def provider_model(name: str, *, settings: Mapping[str, Any], root: Path) -> Model:
    """The model for ``PROVIDER:MODEL``, with the key in the provider's usual variable or in ``api_key_env``; without
    one a ``Keyless`` model.

    Raises:
        MissingDependency: when the provider's package is not there. SpecError: for a name pydantic-ai does not know.
        CredentialsError: for a missing key of a provider that needs more than a key.
    """
    provider = name.partition(":")[0]

    def build(kind: str) -> Provider[Any]:
        key = _key(settings, kind)
        if key is None:
            return infer_provider(kind)
        keyed: Any = infer_provider_class(kind)
        return keyed(api_key=key)  # type: ignore[no-any-return]

    try:
        model = infer_model(name, provider_factory=build if settings.get("api_key_env") else infer_provider)
    except ImportError as error:
        raise _not_installed(name, provider) from error
    except CredentialsError as missing:
        return _keyless(name, missing)
    except (UserError, ValueError) as error:
        unusable = _unusable(name, provider, error)
        if isinstance(unusable, CredentialsError):
            return _keyless(name, unusable)
        raise unusable from error
    return _without_own_retries(model)


def _keyless(name: str, missing: CredentialsError) -> Model:
    def build(kind: str) -> Provider[Any]:
        keyed: Any = infer_provider_class(kind)
        return keyed(api_key=PLACEHOLDER)  # type: ignore[no-any-return]

    try:
        return Keyless(infer_model(name, provider_factory=build), missing)
    except (UserError, TypeError, ValueError):
        raise missing from None


def compatible_model(name: str, *, settings: Mapping[str, Any], root: Path) -> Model:
    """The model for ``https://host/v1#model``, or for any name with ``base_url`` in the variant.

    The key comes from ``api_key_env`` (a ``Keyless`` model when that variable is not set); without it none is sent (an
    OpenAI key never goes to another host).

    Raises:
        SpecError: when the address or the model is missing.
    """
    base_url, _, model = name.partition("#")
    if settings.get("base_url"):
        base_url, model = str(settings["base_url"]), name
        for protocol in _PROTOCOLS:
            model = model.removeprefix(protocol)
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.hostname or not model:
        raise SpecError(
            f"{name!r} does not name a model at an address",
            hint="Write it like `model: https://host/v1#model`.",
        )
    missing = None
    try:
        key = _key(settings, address.hostname)
    except CredentialsError as error:
        key, missing = PLACEHOLDER, error
    made = model_at("openai", address.hostname, model, base_url=base_url, api_key=key)
    return made if missing is None else Keyless(made, missing)


def model_at(
    dialect: Literal["openai", "anthropic"], name: str, model: str, *, base_url: str, api_key: str | None
) -> Model:
    """The model at an address that speaks OpenAI's chat completions or Anthropic's messages.

    ``name`` is the provider's. Without a key none is sent: what is in the environment is meant for another address.

    Raises:
        MissingDependency: the dialect's package is not there.
    """
    if dialect == "openai":
        from pydantic_ai.models.openai import OpenAIChatModel

        from shiftright.models.address import AddressProvider

        there = AddressProvider(name, base_url=base_url, api_key=api_key)
        return _without_own_retries(OpenAIChatModel(model, provider=there))
    try:
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider
    except ImportError as error:
        raise _not_installed(f"{name}:{model}", dialect) from error
    # as in AddressProvider: without a key of ours the SDK would send ANTHROPIC_API_KEY
    keyed = AnthropicProvider(base_url=base_url, api_key=api_key or "none")
    return _without_own_retries(AnthropicModel(model, provider=keyed))


def _key(settings: Mapping[str, Any], provider: str) -> str | None:
    variable = settings.get("api_key_env")
    if not variable:
        return None
    key = os.environ.get(str(variable))
    if not key:
        raise CredentialsError(
            f"{provider} needs a key, and the environment variable {variable} is not set",
            hint=f"export {variable}=…",
        )
    return key


def _not_installed(name: str, provider: str) -> MissingDependency:
    extra = f"shiftright[{provider}]" if provider in _EXTRAS else f"pydantic-ai-slim[{provider}]"
    return MissingDependency(f"{name} needs a package that is not installed", hint=f"pip install '{extra}'")


def _unusable(name: str, provider: str, error: Exception) -> CredentialsError | SpecError:
    variable = _VARIABLE.search(str(error))
    if variable is not None:
        return CredentialsError(
            f"{provider} needs a key, and the environment variable {variable[1]} is not set",
            hint=f"export {variable[1]}=…, or name another variable with `api_key_env:`.",
        )
    return SpecError(
        f"there is no model {name!r}: {error}",
        hint="Use local:NAME, recorded:FILE, PROVIDER:MODEL (openai:gpt-5) or https://host/v1#model.",
    )


def _without_own_retries(model: Model) -> Model:
    """Our retries are the only ones: an SDK's would multiply with them and ignore the total time."""
    client: Any = getattr(model.provider, "client", None)
    if hasattr(client, "max_retries"):
        client.max_retries = 0
    return model
