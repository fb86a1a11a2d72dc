"""The built-in feature of a contract without ``run``: a prompt and the model it is put to."""

from __future__ import annotations

from typing import Any

from shiftright.core.case import Message
from shiftright.core.spec import Spec
from shiftright.errors import SpecError
from shiftright.features.context import Context, declared_output


class Prompted:
    """Renders the variant's prompt with the case and asks the variant's model.

    The prompt sees ``input``, and the keys of an input that is a mapping. Without a prompt the input itself is what
    the model gets. A conversation is put to the model as it is, after the prompt's text as a system message where
    there is a prompt.
    """

    def __init__(self, context: Context, spec: Spec) -> None:
        self.context = context
        self.prompt = context.prompt() if "prompt" in context.variant else None
        self.output = None if self.prompt is None else declared_output(self.prompt)
        if "model" not in context.variant and (self.prompt is None or "model" not in self.prompt.settings):
            raise SpecError(
                f"variant {context.variant.name!r} names no model, and the contract has no run",
                file=spec.path,
                hint="Add model: local:smollm2-135m, or run: module:function",
            )

    async def answer(self, value: Any) -> Any:
        if self.prompt is None:
            return await self.context.ask(self._messages(value))
        return await self.context.ask(
            self._messages(value), output=self.output, settings=self.prompt.settings
        )

    def _messages(self, value: Any) -> str | list[Message | dict[str, Any]]:
        conversation = value if _is_conversation(value) else None
        if self.prompt is None:
            return conversation or as_text(value)
        variables = {**value, "input": value} if isinstance(value, dict) else {"input": value}
        rendered = self.prompt.render(variables)
        if conversation is None:
            return rendered if isinstance(rendered, str) else [*rendered]
        start = [Message("system", rendered)] if isinstance(rendered, str) else rendered
        return [*start, *conversation]


def as_text(value: Any) -> str:
    """Text as it is, other data as JSON."""
    import msgspec

    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _is_conversation(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and "role" in turn and "content" in turn for turn in value)
    )
