"""From a model's name in the contract to a model that can be called.

The scheme before the colon is an entry point of the group ``shiftright.models``: a function
``(name, *, settings, root) -> pydantic_ai.models.Model``. The model it gives may carry ``concurrency: int`` (calls at
a time), ``free: bool`` (calls cost nothing unless the user prices them), ``replayed: bool`` (its answers are
recorded) and ``retry: RetryPolicy``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from shiftright import plugins
from shiftright.errors import CredentialsError, SpecError

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from pydantic_ai.settings import ModelSettings

    from shiftright.models.layers import LayeredModel

# The entry points that answer for names without a scheme of their own.
_ANY_PROVIDER = "pydantic_ai"
_ANY_ADDRESS = "https"
_OFFLINE = frozenset({"local", "recorded"})
_NUMBERS = frozenset({"temperature", "top_p", "top_k", "max_tokens", "seed", "timeout", "concurrency"})
_CONCURRENCY = 8


def resolve(name: str, *, settings: Mapping[str, Any] | None = None, root: Path = Path()) -> LayeredModel:
    """The model of this name, metered, cached, capped and retried. It is a pydantic-ai ``Model``.

    Args:
        name: ``local:NAME|FILE.gguf``, ``recorded:FILE``, any pydantic-ai name (``openai:gpt-5``), or
            ``https://host/v1#model``.
        settings: a variant's keys. Those of pydantic-ai's ModelSettings go with every request; ``base_url``,
            ``api_key_env``, ``price``, ``gpu_hour``, ``concurrency`` and ``timeout`` (seconds a call) are ours.
        root: the folder that relative files are in.

    A model whose key is missing is found all the same: it gives remembered answers, and an error where there is none.

    Raises:
        MissingDependency: when a package or model file is missing.
        SpecError: for an unknown model or an impossible setting.
    """
    from shiftright.models.layers import LayeredModel, address_of
    from shiftright.models.prices import FREE, UNKNOWN, Price, own_price
    from shiftright.models.retry import RetryPolicy

    given = settings or {}
    _check_numbers(given)
    scheme = name.partition(":")[0]
    if given.get("base_url") and scheme not in _OFFLINE:
        scheme = _ANY_ADDRESS
    known = plugins.found("models")
    wrapped: Model = plugins.load("models", scheme if scheme in known else _ANY_PROVIDER)(
        name, settings=given, root=root
    )
    replayed = getattr(wrapped, "replayed", False)
    if replayed:
        listed = UNKNOWN
    elif getattr(wrapped, "free", False):
        listed = FREE
    else:
        listed = Price(wrapped.model_name, wrapped.system, address_of(wrapped))
    retry: RetryPolicy = getattr(wrapped, "retry", RetryPolicy())
    if (timeout := given.get("timeout")) is not None:
        retry = RetryPolicy(timeout_s=timeout, total_s=3 * timeout, attempts=retry.attempts)
    return LayeredModel(
        wrapped,
        name=name,
        settings=_request_settings(given, wrapped.system),
        price=own_price(given) or listed,
        retry=retry,
        concurrency=int(given.get("concurrency", getattr(wrapped, "concurrency", _CONCURRENCY))),
        replayed=replayed,
    )


def check_credentials(name: str, *, settings: Mapping[str, Any] | None = None, root: Path = Path()) -> None:
    """Raise what the first call of this model would: a missing key, package, model file or recorded file.

    Raises:
        CredentialsError: names the environment variable and the provider.
    """
    missing = getattr(resolve(name, settings=settings, root=root).wrapped, "missing", None)
    if isinstance(missing, CredentialsError):
        raise missing


def _request_settings(given: Mapping[str, Any], system: str) -> ModelSettings:
    from pydantic_ai.settings import ModelSettings

    known = ModelSettings.__annotations__.keys() - {"timeout"}
    return cast(ModelSettings, {k: v for k, v in given.items() if k in known or k.startswith(f"{system}_")})


def _check_numbers(given: Mapping[str, Any]) -> None:
    for key in _NUMBERS & given.keys():
        value = given[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise SpecError(f"`{key}: {value}` is not a number", hint=f"Write it like `{key}: 1`.")
