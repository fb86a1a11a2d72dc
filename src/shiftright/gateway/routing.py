"""What a request's ``model`` means: a feature, one of its variants, or a provider's model."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec

from shiftright.core.spec import Spec, Variant
from shiftright.errors import Error, UsageError
from shiftright.features.current import baseline_variant, named_variant
from shiftright.features.loading import run_of
from shiftright.gateway.configuration import Configuration, Provider, split_name
from shiftright.gateway.refusal import unknown_model
from shiftright.models.prices import UNKNOWN, Price, own_price

_log = logging.getLogger("shiftright.gateway")
_PLAIN = re.compile(r"[\w-]+(\.[\w-]+)*(?<!\.gguf)", re.ASCII)
_PARAMETERS = ("temperature", "top_p", "seed", "max_tokens")
_MOST_ROUTES = 10_000
LONGEST_NAME = 256
"""Characters: names are looked up in tables and price lists, and kept."""


class Target(msgspec.Struct, frozen=True):
    """One model that can be asked. ``provider`` is None for what only pydantic-ai reaches."""

    name: str
    model: str
    provider: Provider | None
    price: Price


class Route(msgspec.Struct, frozen=True):
    """``targets`` are asked one after the other; a route without any calls the feature itself.

    ``parameters`` are the variant's, for requests that name none. ``price`` is that of the feature's model.
    """

    targets: tuple[Target, ...]
    feature: str = ""
    spec: Spec | None = None
    variant: Variant | None = None
    parameters: dict[str, Any] = {}
    price: Price = UNKNOWN

    @property
    def prices(self) -> tuple[Price, ...]:
        """Of all that may be asked."""
        return tuple(target.price for target in self.targets) or (self.price,)

    @property
    def variant_name(self) -> str:
        return "" if self.variant is None else self.variant.name


class Router:
    """Routes by name. ``refresh`` reads the project's contracts again where they changed."""

    def __init__(self, root: Path, configuration: Configuration) -> None:
        self.configuration = configuration
        self.features: dict[str, Spec] = {}
        self._root = root
        self._seen: dict[Path, int] = {}
        self._routes: dict[str, Route] = {}

    def refresh(self) -> bool:
        """Read new and changed contracts; says whether there were any. Blocks: for a thread."""
        from shiftright.spec import discover, load

        seen = {path: path.stat().st_mtime_ns for path in discover(self._root) if path.exists()}
        if seen == self._seen:
            return False
        features: dict[str, Spec] = {}
        for path in seen:
            try:
                spec = load(path)
            except Error as error:
                _log.warning("a contract is not served: %s", error)
                continue
            if spec.feature in features:
                _log.warning("%s is not served: %s has the same name", path, features[spec.feature].path)
            else:
                features[spec.feature] = spec
        self.features, self._seen, self._routes = features, seen, {}
        return True

    def route(self, name: str) -> Route:
        """
        Raises:
            Refusal: 404 for a name that means nothing.
        """
        found = self._routes.get(name)
        if found is None:
            if len(name) > LONGEST_NAME:
                raise unknown_model(name, f"A name has at most {LONGEST_NAME} characters.")
            found = self._find(name)
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            self._routes[name] = found
        return found

    def feature(self, name: str, variant: str | None) -> tuple[Spec, Variant]:
        """A feature's contract and the variant that serves it: the one named, else its baseline.

        Raises:
            Refusal: 404 for an unknown one.
        """
        spec = self.features.get(name)
        if spec is None:
            raise unknown_model(name, self._known())
        if not variant:
            return spec, baseline_variant(spec)
        try:
            return spec, named_variant(spec, variant)
        except UsageError as error:
            raise unknown_model(f"{name}@{variant}", error.hint or "") from None

    def _find(self, name: str) -> Route:
        feature, at, variant = name.partition("@")
        if feature in self.features:
            return self.of_feature(*self.feature(feature, variant if at else None))
        scheme, _, rest = name.partition(":")
        if "://" in name or scheme == "recorded" or (scheme == "local" and not _PLAIN.fullmatch(rest)):
            # a caller names models; which addresses are asked and which files are read is for contracts to say
            raise unknown_model(name, self._known())
        chain = (name, *self.configuration.fallback.get(name, ()))
        try:
            return Route(tuple(self._target(each, {}) for each in chain))
        except UsageError as error:
            raise unknown_model(name, f"{error.hint} {self._known()}") from None

    def of_feature(self, spec: Spec, variant: Variant) -> Route:
        """A variant that is a model and nothing else is asked with the caller's own messages; others are called."""
        model = variant.get("model")
        if not isinstance(model, str):
            return Route((), spec.feature, spec, variant)
        try:
            first = self._target(model, variant.settings)
        except UsageError:
            # what it means is for the feature to say, when it is called
            return Route((), spec.feature, spec, variant)
        if run_of(spec, variant) is not None or "prompt" in variant or first.provider is None:
            return Route((), spec.feature, spec, variant, price=first.price)
        after = self.configuration.fallback.get(spec.feature) or self.configuration.fallback.get(model, ())
        # those of its own protocol are asked on the way; what is below them is asked when all of them failed
        models = takewhile(lambda rung: ":" in rung and not rung.startswith("person:"), spec.ship.fallback)
        targets = (first, *(self._target(each, {}) for each in dict.fromkeys((*after, *models))))
        parameters = {key: variant[key] for key in _PARAMETERS if key in variant}
        return Route(targets, spec.feature, spec, variant, parameters)

    def _target(self, name: str, settings: dict[str, Any]) -> Target:
        if settings.get("base_url") or name.startswith(("http://", "https://")):
            return self._addressed(name, settings)
        scheme, model = split_name(name, self.configuration.default)
        provider = self.configuration.providers.get(scheme)
        listed = Price(model, scheme, None if provider is None else provider.base_url)
        return Target(f"{scheme}:{model}", model, provider, own_price(settings) or listed)

    def _addressed(self, name: str, settings: dict[str, Any]) -> Target:
        """A model at an address the contract names."""
        import os

        base_url, _, model = name.partition("#")
        if settings.get("base_url"):
            base_url, model = str(settings["base_url"]), name.removeprefix("openai:")
        variable = settings.get("api_key_env")
        key = os.environ.get(str(variable)) if variable else None
        provider = Provider(base_url, base_url.rstrip("/"), "openai", key)
        return Target(name, model, provider, own_price(settings) or Price(model, None, base_url))

    def _known(self) -> str:
        names: Sequence[str] = sorted(self.features)
        return (
            f"Features: {', '.join(names[:20])}." if names else "There are no features yet: shiftright init."
        )
