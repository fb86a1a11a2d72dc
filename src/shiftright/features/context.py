"""What a feature may ask for while it runs: its variant, a model, an answer to a prompt, a named step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from shiftright.core.case import Message
from shiftright.core.spec import Variant
from shiftright.errors import Error, PromptError, SpecError
from shiftright.models.scope import current
from shiftright.tracing.recorder import OpenSpan, span

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from shiftright.prompts import Prompt

_NOT_FOR_MODELS = frozenset({"model", "prompt", "run", "output"})
_NONE: Mapping[str, Any] = {}


class Context:
    """One per loaded feature; what belongs to a single call lives in context variables."""

    __slots__ = ("_models", "_prompts", "variant")

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self._models: dict[tuple[str, bytes], Model] = {}
        self._prompts: dict[Path, Prompt] = {}

    def model(self, name: str | None = None) -> Model:
        """A pydantic-ai model, metered and cached: the variant's, or the one a setting or model string names.

        Raises:
            SpecError: the variant names no model.
            CredentialsError, MissingDependency: the model cannot be used here.
        """
        return self._resolved(self._setting(name, "model"), _NONE)

    async def generate(self, prompt: str | None = None, output: Any = None, **variables: Any) -> Any:
        """Ask the variant's model with a rendered prompt.

        Args:
            prompt: a setting of the variant that names a prompt file, or the file itself, relative to the
                contract; default: the variant's ``prompt``.
            output: a type (or JSON Schema) of the answer; text without one. A malformed answer is asked for again.
            variables: of the prompt.

        Raises:
            PromptError: the prompt cannot be read or rendered.
            ModelError: no usable answer.
        """
        loaded = self.prompt(prompt)
        wanted = declared_output(loaded) if output is None else output
        return await self.ask(loaded.render(variables), output=wanted, settings=loaded.settings)

    async def ask(
        self,
        messages: str | Sequence[Message | dict[str, Any]],
        *,
        output: Any = None,
        settings: Mapping[str, Any] = _NONE,
    ) -> Any:
        """Ask the variant's model with text or messages, as ``generate`` does with a prompt.

        Args:
            settings: a prompt's front matter; what the variant says wins over it.
        """
        from shiftright import models

        name = self._setting(None if "model" in self.variant else settings.get("model"), "model")
        asked = await models.ask(
            self._resolved(name, settings),
            messages if isinstance(messages, str) else [_as_dict(turn) for turn in messages],
            output=output,
        )
        return asked.output

    def prompt(self, name: str | None = None) -> Prompt:
        """The prompt a setting or path names; by default the variant's own."""
        from shiftright import prompts

        path = self.variant.root / self._setting(name, "prompt")
        if path not in self._prompts:
            self._prompts[path] = prompts.load(path)
        return self._prompts[path]

    def step(self, name: str, **attributes: Any) -> OpenSpan:
        """A named step in the call's trace: ``with ctx.step("retrieve") as step: …; step.set("hits", 3)``."""
        return span(name, **attributes)

    def _setting(self, name: str | None, default: str) -> str:
        key = default if name is None else name
        value = self.variant.get(key)
        if isinstance(value, str):
            return value
        if name is not None:
            return name
        raise SpecError(
            f"variant {self.variant.name!r} names no {default}",
            file=self.variant.root / "spec.yaml",
            hint=f"Add {default}: to the variant, or name one in the call.",
        )

    def _resolved(self, name: str, settings: Mapping[str, Any]) -> Model:
        """The model with ``settings`` under the variant's own."""
        key = (name, msgspec.json.encode(settings) if settings else b"")
        if key not in self._models:
            merged = {
                k: v for k, v in {**settings, **self.variant.settings}.items() if k not in _NOT_FOR_MODELS
            }
            scope = current()
            began = perf_counter()
            from shiftright import models

            try:
                self._models[key] = models.resolve(name, settings=merged, root=self.variant.root)
            except Error as error:
                if scope is not None:
                    scope.note(error)
                raise
            if scope is not None:
                # Only the first call imports the provider's library: no latency of the feature.
                scope.meter.waited_s += perf_counter() - began
        return self._models[key]


def declared_output(prompt: Prompt) -> dict[str, Any] | None:
    """The JSON Schema that a prompt's front matter asks answers to follow: ``output: FILE`` beside it, or inline.

    Raises:
        PromptError: when it cannot be read.
    """
    declared = prompt.settings.get("output")
    if declared is None or isinstance(declared, dict):
        return declared
    path = (prompt.path or Path()).parent / str(declared)
    try:
        schema = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise PromptError(f"output: {path} is no JSON Schema: {cause}", file=prompt.path) from None
    return schema


def _as_dict(turn: Message | dict[str, Any]) -> dict[str, Any]:
    return turn if isinstance(turn, dict) else {"role": turn.role, "content": turn.content, **turn.extra}
