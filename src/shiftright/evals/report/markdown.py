"""``report RUN --markdown``: what a pull-request comment shows. Fewer than 60 lines, details folded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from shiftright.core.answer import Answer
from shiftright.core.counting import counted
from shiftright.core.verdict import CheckRow
from shiftright.decisions import words
from shiftright.evals.report.changes import CaseView
from shiftright.evals.report.gather import RunReport
from shiftright.evals.report.visible import short

MOST_ROWS = 16
MOST_BROKE = 10
MOST_FIXED = 4
WIDTH = 90
MOST_BESIDE = 5
SIGN = {"pass": "✅", "yes": "✅", "fail": "❌", "no": "❌", "inconclusive": "❔", "error": "❗"}
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:$^=/])")


def to_markdown(report: RunReport) -> str:
    """GitHub-flavoured Markdown. Outputs and inputs stand in code spans, where nothing in them means anything."""
    return "\n".join(_lines(report)) + "\n"


def details(report: RunReport) -> Iterator[str]:
    """What failed, its rows and the cases that changed, without headline and footer."""
    for said in _beside(report):
        yield f"> ⚠️ {escaped(said)}"
        yield ""
    yield from board(report.rows)
    yield from _cases("broke", report.broke, MOST_BROKE)
    yield from _cases("fixed", report.fixed, MOST_FIXED)
    for note in (*report.judges, *report.gone)[:3]:
        yield f"> {escaped(note)}"
        yield ""


def _lines(report: RunReport) -> Iterator[str]:
    run, verdict = report.run, report.verdict
    against = f" against {escaped(run.baseline)}" if run.baseline else ""
    yield f"### {escaped(run.feature)}: {escaped(run.variant)}{against}"
    yield ""
    if verdict is None:
        yield "_Not decided: a look at some cases, or an interrupted run._"
    else:
        first = verdict.reasons[0] if verdict.reasons else ""
        answers = (("Merge?", verdict.merge), ("Release?", verdict.verdict))
        yield "| " + " | ".join(f"**{name}** {SIGN[word]} **{word}**" for name, word in answers) + " |"
        yield "|---|---|"
        yield f"| {escaped(first) if verdict.merge == 'no' else 'No harm is proven'} | {escaped(first)} |"
    yield ""
    yield from details(report)
    yield f"<sub>{_footer(report)}</sub>"


def _beside(report: RunReport) -> list[str]:
    """What the verdict says besides its first reason and the board's: calls that failed, above all."""
    said = report.verdict.reasons[1:] if report.verdict else ()
    return [reason for reason in said if not any(row.reason in reason for row in report.rows)][:MOST_BESIDE]


def board(rows: Sequence[CheckRow]) -> Iterator[str]:
    """One line per clause."""
    if not rows:
        return
    yield "| check | must hold | measured | cases | verdict | why |"
    yield "|---|---|---|--:|---|---|"
    for row in rows[:MOST_ROWS]:
        score = "latency" if " ms" in row.target or row.target.endswith(" s") else "cost"
        measured = words.quantity(row.clause, row.estimate, score)
        if row.interval is not None:
            low, high = (words.quantity(row.clause, end, score) for end in row.interval)
            measured += f" ({low} to {high})"
        cells = (row.check, row.target, measured, words.board_count(row.n, row.cases), row.reason)
        check, target, value, n, why = map(escaped, cells)
        yield f"| **{check}** | {target} | {value} | {n} | {SIGN[row.verdict]} {row.verdict} | {why} |"
    if len(rows) > MOST_ROWS:
        yield f"| … and {len(rows) - MOST_ROWS} more | | | | | |"
    yield ""


def _cases(name: str, cases: Sequence[CaseView], most: int) -> Iterator[str]:
    if not cases:
        return
    count = f"{counted(len(cases))} {name}"
    yield f"<details><summary>{count}</summary>"
    yield ""
    yield "| case | input | before | now |"
    yield "|---|---|---|---|"
    for case in cases[:most]:
        value = code(case.value) if case.known else ""
        yield f"| {code(case.id)} | {value} | {code(_output(case.baseline))} | {code(_output(case.candidate))} |"
    if len(cases) > most:
        yield f"| … and {len(cases) - most} more | | | |"
    yield ""
    yield "</details>"
    yield ""


def _footer(report: RunReport) -> str:
    calls = report.calls
    said = [counted(calls.made, "call")]
    if calls.baseline_made:
        said.append(f"{calls.baseline_made:,} of the baseline")
    if calls.cached:
        said.append(f"{counted(calls.cached, 'answer')} reused")
    if calls.fixed_sample is not None:
        said.append(f"a fixed-size test needs {counted(calls.fixed_sample)}")
    cost = report.run.cost_usd
    said.append("cost unknown" if cost is None else f"{cost:.4g} USD")
    return f"{escaped(' · '.join(said))} · {escaped(report.run.id)} · {code(report.command)}"


def _output(answers: tuple[Answer, ...]) -> Any:
    if not answers:
        return "–"
    failure = answers[0].failure
    return answers[0].output if failure is None else f"failed ({failure.kind}): {failure.message}"


def escaped(value: str | None) -> str:
    """Words that may hold anybody's names: no markup, no links, no mention."""
    line = short(value or "", 4 * WIDTH)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(r"\\\1", line).replace("@", "@<!-- -->")


def code(value: Any) -> str:
    """A code span that its text cannot end: fenced by more backticks than stand in it."""
    line = short(value, WIDTH)
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    # in a table a bar ends the cell also inside of a span; the escape is taken out again before it is shown
    return f"{fence} {line} {fence}".replace("|", "\\|")
