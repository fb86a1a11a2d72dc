"""pydantic_evals: a report dumped with ``EvaluationReportAdapter.dump_json``."""

from __future__ import annotations

from typing import Any

from shiftright.datasets.result_files.rows import ResultFile, ResultRow, number_of, score_of
from shiftright.datasets.result_files.source import Source


class PydanticEvals:
    title = "pydantic_evals (EvaluationReport JSON)"
    general = False

    def recognises(self, source: Source) -> bool:
        first = next(iter(_cases(source.json)), None)
        return (
            isinstance(first, dict) and "inputs" in first and ("scores" in first or "error_message" in first)
        )

    def read(self, source: Source) -> ResultFile:
        return ResultFile("pydantic_evals", tuple(_row(case) for case in _cases(source.json)))


def _cases(document: Any) -> list[Any]:
    """Cases that ran, then those whose task failed."""
    parts = [document.get("cases"), document.get("failures")] if isinstance(document, dict) else []
    return [case for part in parts if isinstance(part, list) for case in part]


def _row(case: dict[str, Any]) -> ResultRow:
    scores: dict[str, float] = {}
    for name, result in {**(case.get("scores") or {}), **(case.get("assertions") or {})}.items():
        value = score_of(str(name), result.get("value") if isinstance(result, dict) else result)
        if value is not None:
            scores[name] = value
    broken = [f"{f.get('name')}: {f.get('error_message')}" for f in case.get("evaluator_failures") or []]
    failure = case.get("error_message") or "; ".join(broken) or None
    metrics = case.get("metrics") or {}
    return ResultRow(
        case_id=str(case.get("source_case_name") or case.get("name")),
        input=case.get("inputs"),
        output=case.get("output"),
        expected=case.get("expected_output"),
        scores=scores,
        failure=None if failure is None else str(failure),
        latency_s=number_of(case.get("task_duration")),
        cost_usd=number_of(metrics.get("cost")),
    )
