"""MLflow: evaluation tables (``eval_results_table.json``, or its data frame as CSV)."""

from __future__ import annotations

from typing import Any

from shiftright.datasets.result_files import table
from shiftright.datasets.result_files.rows import ResultFile, score_of
from shiftright.datasets.result_files.source import Source
from shiftright.errors import DatasetError

_SCORE_ENDINGS = ("/v1/score", "/score", "/value")
_EXPLANATIONS = ("/justification", "/rationale", "/error_code", "/error_message")
_NAMES = {"expected_response/value": "expected", "execution_duration": "latency_ms"}
_TRACE = frozenset(
    {
        "trace",
        "trace_id",
        "trace_metadata",
        "spans",
        "assessments",
        "tags",
        "state",
        "request_time",
        "client_request_id",
    }
)


class MLflow:
    title = "MLflow (evaluation table, JSON or CSV)"
    general = False

    def recognises(self, source: Source) -> bool:
        columns = _columns(source)
        return bool(columns) and any(str(name).endswith(_SCORE_ENDINGS) for name in columns)

    def read(self, source: Source) -> ResultFile:
        """Columns ``NAME/score`` and ``NAME/value`` are the scores."""
        records, lines = _records(source)
        labels = _labels(records)
        found = table.from_records([_renamed(record, labels) for record in records], lines)
        return ResultFile("mlflow", found.rows, found.metrics, found.warnings)


def _columns(source: Source) -> list[Any]:
    document = source.json
    if isinstance(document, dict) and isinstance(document.get("data"), list):
        columns = document.get("columns")
        return columns if isinstance(columns, list) else []
    if isinstance(document, list) and document and isinstance(document[0], dict):
        return list(document[0])
    return table.header(source) if source.suffix in (".csv", ".tsv") else []


def _records(source: Source) -> tuple[list[dict[str, Any]], list[int]]:
    """The records, and their lines where it is a CSV file."""
    document = source.json
    if isinstance(document, dict):
        return [dict(zip(map(str, document["columns"]), row, strict=False)) for row in document["data"]], []
    return (document, []) if isinstance(document, list) else table.csv_records(source)


def _labels(records: list[dict[str, Any]]) -> set[str]:
    """Columns that end like scores and never hold a number: an assessment may be a word, or a list of facts."""
    named = {name for record in records for name in record if name.endswith(_SCORE_ENDINGS)}
    return {name for name in named if all(_number(name, record.get(name)) is None for record in records)}


def _number(name: str, value: Any) -> float | None:
    try:
        return score_of(name, value)
    except DatasetError:
        return None


def _renamed(record: dict[str, Any], labels: set[str]) -> dict[str, Any]:
    """Scores get the prefix the table reader knows; what describes MLflow's trace stays behind."""
    renamed: dict[str, Any] = {}
    for name, value in record.items():
        ending = next((ending for ending in _SCORE_ENDINGS if name.endswith(ending)), None)
        if name in _NAMES:
            renamed[_NAMES[name]] = value
        elif ending is not None and name not in labels:
            renamed[f"score/{name.removesuffix(ending)}"] = value
        elif name not in _TRACE and not name.endswith(_EXPLANATIONS):
            renamed[name] = value
    return renamed
