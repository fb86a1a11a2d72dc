"""A Comparison as an HTML fragment for a notebook: self-contained, no script, every text of strangers escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from shiftright.decisions.words import board_count, percent, points
from shiftright.evals.compare.findings import CaseChange, Findings
from shiftright.evals.compare.showing import pairing_line
from shiftright.evals.report.visible import shown

_SHOWN = 20
_LONGEST = 400
_GREEN, _RED, _AMBER = "#1a7f4b", "#b42318", "#8a6100"
_COLOURS = {"yes": _GREEN, "pass": _GREEN, "no": _RED, "fail": _RED, "inconclusive": _AMBER}
_BADGE = "color:#fff;padding:1px 8px;border-radius:4px;white-space:nowrap"  # readable on light and dark pages
_CELL = "text-align:left;vertical-align:top;padding:4px 12px 4px 0;border-top:1px solid rgba(128,128,128,.3)"
_SIGNS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "yes": "✓", "no": "✗"}


def render_html(found: Findings) -> str:
    """The two answers, a row per check, slices that got worse, broke and fixed cases with both outputs."""
    rows = [
        (
            row.check,
            "–" if row.estimate is None else points(row.estimate, signed=True),
            "–" if row.interval is None else " to ".join(points(end, signed=True) for end in row.interval),
            board_count(row.n, row.cases),
            _Answer(row.verdict),
            f"{row.target}: {row.reason}",
        )
        for row in found.checks
    ]
    levels = [(level.metric, percent(level.old), percent(level.new), level.n) for level in found.levels]
    worse = [
        (row.tag, row.metric, points(row.change, signed=True), row.n) for row in found.slices if row.worse
    ]
    answers = f"Merge? {_answer(found.merge)} &nbsp; Release? {_answer(found.verdict)}"
    parts = [
        f'<p style="font-size:1.2em;margin:0 0 4px">{answers}</p>',
        f'<p style="margin:0 0 8px">{escape(pairing_line(found))}</p>',
        _table(("check", "change", "interval", "cases", "", "why"), rows),
        _table(("metric", "old", "new", "cases"), levels),
        _table(("slice that got worse", "metric", "change", "cases"), worse),
        _cases("Broke", found.broke),
        _cases("Fixed", found.fixed),
        *(f'<p style="margin:4px 0">Note: {_text(note)}</p>' for note in found.notes),
    ]
    return f'<div style="font-family:system-ui,sans-serif;max-width:70em">{"".join(parts)}</div>'


class _Answer(str):
    """A word of a verdict: shown with its colour and sign."""


def _answer(word: str) -> str:
    sign, colour = _SIGNS.get(word, ""), _COLOURS.get(word, "#555")
    return f'<strong style="background:{colour};{_BADGE}">{sign} {escape(word)}</strong>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    top = "".join(f'<th style="{_CELL};border-top:0">{escape(head)}</th>' for head in heads)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{_cell(value)}</td>' for value in row) + "</tr>"
        for row in rows
    )
    return f'<table style="border-collapse:collapse;margin:8px 0"><tr>{top}</tr>{body}</table>'


def _cell(value: Any) -> str:
    return _answer(value) if isinstance(value, _Answer) else _text(value)


def _cases(word: str, cases: Sequence[CaseChange]) -> str:
    rows = [
        (
            case.case_id,
            ", ".join(case.metrics),
            case.input,
            case.expected,
            _output(case, "old"),
            _output(case, "new"),
        )
        for case in cases[:_SHOWN]
    ]
    more = f", the first {_SHOWN}" if len(cases) > _SHOWN else ""
    table = _table(("case", "metric", "input", "expected", "old output", "new output"), rows)
    return f"<details><summary>{word}: {len(cases)}{more}</summary>{table}</details>"


def _output(case: CaseChange, side: str) -> Any:
    failure = case.old_failure if side == "old" else case.new_failure
    return f"failed: {failure}" if failure else case.old_output if side == "old" else case.new_output


def _text(value: Any) -> str:
    text = shown(value)
    return escape(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")
