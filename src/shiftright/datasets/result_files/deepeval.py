"""DeepEval: a test run as saved to disk (results folder, or ``.deepeval/.latest_test_run.json``)."""

from __future__ import annotations

import re
from typing import Any

from shiftright.datasets.result_files.rows import ResultFile, ResultRow, id_of, number_of, score_of
from shiftright.datasets.result_files.source import Source


class DeepEval:
    title = "DeepEval (test run JSON)"
    general = False

    def recognises(self, source: Source) -> bool:
        return "testCases" in _run(source.json) or "conversationalTestCases" in _run(source.json)

    def read(self, source: Source) -> ResultFile:
        run = _run(source.json)
        cases = [*(run.get("testCases") or []), *(run.get("conversationalTestCases") or [])]
        return ResultFile("deepeval", tuple(_row(case) for case in cases if isinstance(case, dict)))


def _run(document: Any) -> dict[str, Any]:
    run = document.get("testRunData", document) if isinstance(document, dict) else {}
    return run if isinstance(run, dict) else {}


def _row(case: dict[str, Any]) -> ResultRow:
    given = case.get("turns") if case.get("input") is None else case.get("input")
    name = case.get("name")
    # DeepEval numbers cases without a name by their place, which shifts when one is inserted.
    numbered = not isinstance(name, str) or re.fullmatch(r"(conversational_)?test_case_\d+", name)
    scores: dict[str, float] = {}
    failures = []
    for metric in case.get("metricsData") or []:
        measure = str(metric.get("name"))
        value = score_of(measure, metric.get("score"))
        if value is not None:
            scores[measure] = value
        elif metric.get("error"):
            failures.append(f"{measure}: {metric['error']}")
    return ResultRow(
        case_id=id_of(given) if numbered else str(name),
        input=given,
        output=case.get("actualOutput"),
        expected=case.get("expectedOutput"),
        scores=scores,
        failure="; ".join(failures) or None,
        latency_s=number_of(case.get("completionTime")),
        cost_usd=number_of(case.get("tokenCost")),
        tags=tuple(str(tag) for tag in case.get("tags") or ()),
    )
