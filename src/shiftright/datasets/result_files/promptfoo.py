"""promptfoo: ``promptfoo eval -o out.json`` (file versions 1, 2 and 3)."""

from __future__ import annotations

from typing import Any

from shiftright.datasets.result_files.rows import ResultFile, ResultRow, id_of, number_of, score_of
from shiftright.datasets.result_files.source import Source

_PROVIDER_ERROR = 2
"""``failureReason`` of a call that failed; 1 is an assertion that did."""


class Promptfoo:
    title = "promptfoo (eval -o FILE.json)"
    general = False

    def recognises(self, source: Source) -> bool:
        results = _results(source.json)
        return (
            isinstance(results, list)
            and bool(results)
            and isinstance(results[0], dict)
            and "vars" in results[0]
        )

    def read(self, source: Source) -> ResultFile:
        """One row per test of the chosen column (a prompt with a provider)."""
        results = [item for item in _results(source.json) or [] if isinstance(item, dict)]
        columns: dict[tuple[int, str], list[dict[str, Any]]] = {}
        for item in results:
            columns.setdefault((item.get("promptIdx") or 0, _name(item)), []).append(item)
        chosen = _choose({key: columns[key] for key in sorted(columns)}, source)
        return ResultFile("promptfoo", tuple(_row(item) for item in chosen))


def _results(document: Any) -> Any:
    """Versions 2 and 3 nest the list in ``results.results``, version 1 has it at the top."""
    results = document.get("results") if isinstance(document, dict) else None
    return results.get("results") if isinstance(results, dict) else results


def _name(item: dict[str, Any]) -> str:
    """Provider and prompt, as promptfoo's own table heads a column."""
    provider = item.get("provider")
    if isinstance(provider, dict):
        provider = provider.get("label") or provider.get("id")
    prompt = item.get("prompt")
    label = (prompt.get("label") or prompt.get("display") or "") if isinstance(prompt, dict) else ""
    return " ".join(f"{provider or ''} {label}".split())


def _choose(columns: dict[tuple[int, str], list[dict[str, Any]]], source: Source) -> list[dict[str, Any]]:
    """By number, by the provider's whole name, or by a part of the name that only one column has."""
    wanted = source.choice
    numbered = {str(number): key for number, key in enumerate(columns, 1)}
    found = list(columns)
    if wanted is not None:
        found = [key for key in columns if key[1].split(" ", 1)[0] == wanted]
        found = found or [key for key in columns if wanted in key[1]]
        found = [numbered[wanted]] if wanted in numbered else found
    if len(found) == 1:
        return columns[found[0]]
    listed = ", ".join(f"{number} {name[:50]!r}" for number, (_, name) in numbered.items())
    said = "holds several providers or prompts" if wanted is None else f"has not exactly one {wanted!r}"
    raise source.error(said, hint=f"Choose one, as in {source.path.name}::1. There are: {listed}.")


def _row(item: dict[str, Any]) -> ResultRow:
    variables = item.get("vars")
    test = item.get("testCase") if isinstance(item.get("testCase"), dict) else {}
    name = test.get("description") if isinstance(test, dict) else None
    response = item.get("response")
    output = response.get("output") if isinstance(response, dict) else response
    failed = item.get("failureReason") == _PROVIDER_ERROR or (output is None and item.get("error"))
    latency = number_of(item.get("latencyMs"))
    return ResultRow(
        case_id=id_of([name, variables] if name else variables),
        input=variables,
        output=output,
        scores={} if failed else _scores(item),
        failure=str(item.get("error") or "the provider failed") if failed else None,
        latency_s=None if latency is None else latency / 1000,
        cost_usd=number_of(item.get("cost")),
    )


def _scores(item: dict[str, Any]) -> dict[str, float]:
    """``score`` is promptfoo's weighted mean, ``passed`` its verdict, the rest named metrics."""
    scores = {
        "score": score_of("score", item.get("score")),
        "passed": score_of("success", item.get("success")),
    }
    named = item.get("namedScores")
    if isinstance(named, dict):
        scores |= {str(name): score_of(str(name), value) for name, value in named.items()}
    return {name: value for name, value in scores.items() if value is not None}
