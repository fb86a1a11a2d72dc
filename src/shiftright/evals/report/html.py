"""``report RUN --html``: one file that needs nothing else, readable without scripts, safe with any output in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from shiftright.core.answer import Answer
from shiftright.core.counting import counted
from shiftright.core.verdict import CheckRow
from shiftright.decisions import words
from shiftright.evals.report.changes import CaseView
from shiftright.evals.report.chart import chart
from shiftright.evals.report.difference import cut, difference, laid_out
from shiftright.evals.report.gather import RunReport
from shiftright.evals.report.visible import short, visible

MOST_CASES = 500
"""Of each kind of change: a browser is slow with more, and nobody reads them."""

SIGN = {"pass": "✓", "yes": "✓", "fail": "✗", "no": "✗", "inconclusive": "?", "error": "!"}
CHANGES = ("broke", "fixed", "fails", "passes")


def to_html(report: RunReport) -> str:
    """The page. Everything of users, models and contracts is escaped; nothing is loaded from anywhere."""
    page: str = _template().render(**_shown(report), css=part("report.css"), js=part("report.js"))
    return page


def blocks(report: RunReport, after_case: Callable[[str, str], str] | None = None) -> str:
    """What stands inside of the page, for another page. ``after_case(id, split)`` gives HTML to end a case with."""
    template = _template()
    context = template.new_context(_shown(report, after_case))
    return "".join(template.blocks["report"](context))


def _shown(report: RunReport, after_case: Callable[[str, str], str] | None = None) -> dict[str, Any]:
    """What the template shows."""
    kinds = {change: [case for case in report.cases if case.change == change] for change in CHANGES}
    cases = [_case(case) for found in kinds.values() for case in found[:MOST_CASES]]
    return {
        "report": report,
        "run": report.run,
        "verdict": report.verdict,
        "rows": [clause(row) for row in report.rows],
        "cases": cases,
        "left_out": len(report.cases) - len(cases),
        "counts": {change: len(found) for change, found in kinds.items()},
        "checks": sorted({name for case in cases for name in case["worst"]}),
        "tags": sorted({tag for case in cases for tag in case["tags"]}),
        "charts": [(line, chart(line)) for line in report.evidence],
        "slices": report.slices,
        "sides": [side for side in (report.baseline, report.candidate) if side is not None],
        "started": time.strftime("%d %B %Y, %H:%M %Z", time.localtime(report.run.started_at)),
        "seconds": None
        if report.run.ended_at is None
        else max(report.run.ended_at - report.run.started_at, 0.0),
        "sign": SIGN,
        "after_case": after_case,
    }


def clause(row: CheckRow) -> dict[str, Any]:
    """A row of the board with its figures as words."""
    score = "latency" if " ms" in row.target or row.target.endswith(" s") else "cost"
    interval = None
    if row.interval is not None:
        ends = [words.quantity(row.clause, end, score) for end in row.interval]
        interval = f"{ends[0].removesuffix(' points').removesuffix(' point')} to {ends[1]}"
    return {
        "row": row,
        "estimate": words.quantity(row.clause, row.estimate, score),
        "interval": interval,
        "level": words.percent(row.level),
        "cases": words.board_count(row.n, row.cases),
    }


def _case(case: CaseView) -> dict[str, Any]:
    before, now = _output(case.baseline), _output(case.candidate)
    old, new = difference(before, now) if case.baseline and case.candidate else (None, None)
    return {
        "id": case.id,
        "change": case.change,
        "split": case.split,
        "tags": [visible(tag) for tag in case.tags],
        "worst": case.worst,
        "known": case.known,
        "summary": short(case.value, 110) if case.known else "",
        "input": cut(laid_out(case.value)) if case.known else "",
        "expected": cut(laid_out(case.expected)) if case.known and case.expected is not None else None,
        "before": old,
        "now": new,
        "alone": cut(laid_out(now)) if new is None and case.candidate else None,
        "more": [cut(laid_out(_output((answer,)))) for answer in case.candidate[1:]],
        "checks": case.checks,
    }


def _output(answers: tuple[Answer, ...]) -> Any:
    if not answers:
        return None
    failure = answers[0].failure
    return answers[0].output if failure is None else f"failed ({failure.kind}): {failure.message}"


@cache
def part(name: str) -> str:
    """One of the files that pages are made of: ``report.css``, ``report.js``, ``report.html``."""
    return (files("shiftright.evals.report") / name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    return template(part("report.html"))


def template(text: str) -> Any:
    """A Jinja template in which every text is escaped and its control characters are visible."""
    from jinja2 import BaseLoader, Environment, StrictUndefined, select_autoescape

    environment = Environment(
        loader=BaseLoader(),
        autoescape=select_autoescape(default_for_string=True, default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters["counted"] = counted
    environment.filters["percent"] = words.percent
    environment.filters["points"] = lambda value: words.points(value, signed=True)
    environment.filters["seconds"] = lambda value: "–" if value is None else words.amount(value, "latency")
    environment.filters["usd"] = lambda value: "unknown" if value is None else words.amount(value, "cost")
    return environment.from_string(text)
