"""A function as a scorer: ``score: module:function``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check
from shiftright.errors import SpecError
from shiftright.scorers.outcome import as_score

_FROM_CONTEXT: dict[str, Callable[[ScoreContext], Any]] = {
    "output": lambda ctx: ctx.answer.output,
    "expected": lambda ctx: ctx.case.expected,
    "input": lambda ctx: ctx.case.value,
    "case": lambda ctx: ctx.case,
    "answer": lambda ctx: ctx.answer,
    "ctx": lambda ctx: ctx,
}


class Function:
    """Calls a plain or async function with what its parameters name.

    ``output``, ``expected``, ``input``, ``case``, ``answer``, ``ctx`` (the ScoreContext), and the check's own keys.
    What it may return: see ``outcome.as_score``. Plain functions run on the event loop: one that waits for something
    should be async.
    """

    def __init__(self, function: Callable[..., Any], check: Check) -> None:
        self._name = check.name
        self._function = function
        self._fixed, self._given = _arguments(function, check)

    def score(self, ctx: ScoreContext) -> Score | Awaitable[Score]:
        raw = self._function(**self._fixed, **{name: _FROM_CONTEXT[name](ctx) for name in self._given})
        return self._awaited(raw) if inspect.isawaitable(raw) else as_score(self._name, raw)

    async def _awaited(self, raw: Awaitable[Any]) -> Score:
        return as_score(self._name, await raw)


def _arguments(function: Callable[..., Any], check: Check) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The check's keys that the function takes, and the names it takes from the context.

    Raises:
        SpecError: a parameter that nothing fills, or a key that no parameter takes.
    """
    parameters = inspect.signature(function).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = {n: p for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    positional = [n for n, p in parameters.items() if p.kind is p.POSITIONAL_ONLY]
    missing = [
        name
        for name, parameter in named.items()
        if name not in check.params and name not in _FROM_CONTEXT and parameter.default is parameter.empty
    ]
    if missing or positional:
        raise SpecError(
            f"checks.{check.name}: {check.score} takes {', '.join(missing or positional)}, which nothing fills",
            hint=f"A scorer takes any of {', '.join(_FROM_CONTEXT)}, and keys of its check, by name.",
        )
    if not takes_all and (unused := [key for key in check.params if key not in named]):
        raise SpecError(
            f"checks.{check.name}: {check.score} takes no {', '.join(unused)}",
            hint=f"It takes {', '.join(named)}.",
        )
    fixed = {key: value for key, value in check.params.items() if takes_all or key in named}
    return fixed, tuple(name for name in _FROM_CONTEXT if name in named and name not in fixed)
