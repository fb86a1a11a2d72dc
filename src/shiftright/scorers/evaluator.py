"""Any ``pydantic_evals`` evaluator as a scorer: ``score: module:Name``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Mapping
from typing import Any

from shiftright.core.score import Score, ScoreContext
from shiftright.core.spec import Check
from shiftright.errors import ScorerError, SpecError
from shiftright.scorers.outcome import as_score

RESULT = "result"


def is_evaluator(target: Any) -> bool:
    """Whether it is one, or a class of them, found out without importing the library."""
    kind = target if isinstance(target, type) else type(target)
    return any(
        base.__name__ == "Evaluator" and base.__module__.partition(".")[0] == "pydantic_evals"
        for base in kind.__mro__
    )


class Evaluator:
    """Gives a pydantic_evals evaluator the case and the answer, and takes its result as the Score.

    The check's keys are the evaluator's arguments. True/false, numbers in [0, 1] and words such as ``pass`` are
    scores; of an evaluator that gives several results, the key ``result`` names one.
    """

    def __init__(self, target: Any, check: Check) -> None:
        self._name = check.name
        params = dict(check.params)
        self._result = params.pop(RESULT, None)
        self._evaluator = target
        if isinstance(target, type):
            try:
                self._evaluator = target(**params)
            except (TypeError, ValueError) as cause:
                raise SpecError(f"checks.{check.name}: {target.__name__}: {cause}") from cause
        elif params:
            raise SpecError(
                f"checks.{check.name}: {check.score} is an instance and takes no {', '.join(params)}",
                hint="Name the class to give it arguments.",
            )

    def score(self, ctx: ScoreContext) -> Score | Awaitable[Score]:
        from pydantic_evals.evaluators import EvaluatorContext
        from pydantic_evals.otel import SpanTree

        raw = self._evaluator.evaluate(
            EvaluatorContext(
                name=ctx.case.id,
                inputs=ctx.case.value,
                metadata={"tags": list(ctx.case.tags), "group": ctx.case.group, "source": ctx.case.source},
                expected_output=ctx.case.expected,
                output=ctx.answer.output,
                duration=ctx.answer.latency_s,
                _span_tree=SpanTree(),
                attributes={},
                metrics=_metrics(ctx),
            )
        )
        return self._awaited(raw) if inspect.isawaitable(raw) else self._score(raw)

    async def _awaited(self, raw: Awaitable[Any]) -> Score:
        return self._score(await raw)

    def _score(self, raw: Any) -> Score:
        if isinstance(raw, Mapping):
            raw = self._chosen(raw)
        if hasattr(raw, "reason") and hasattr(raw, "value"):
            return as_score(self._name, {"value": raw.value, "explanation": raw.reason})
        return as_score(self._name, raw)

    def _chosen(self, results: Mapping[str, Any]) -> Any:
        if self._result is None and len(results) == 1:
            return next(iter(results.values()))
        if self._result not in results:
            raise ScorerError(
                f"{self._name}: the evaluator gave {', '.join(results) or 'nothing'}",
                hint=f"Choose one in the check: {RESULT}: {next(iter(results), 'NAME')}",
            )
        return results[self._result]


def _metrics(ctx: ScoreContext) -> dict[str, int | float]:
    usage = ctx.answer.usage
    metrics: dict[str, int | float] = {
        "requests": ctx.answer.model_calls,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }
    if ctx.answer.cost_usd is not None:
        metrics["cost"] = ctx.answer.cost_usd
    return metrics
