"""Findings as a few lines of text, for a REPL."""

from __future__ import annotations

from collections.abc import Sequence

from shiftright.core.counting import counted
from shiftright.core.verdict import CheckRow
from shiftright.decisions.words import board_count, points
from shiftright.evals.compare.findings import CaseChange, Findings
from shiftright.evals.report.visible import short

_SHOWN = 5
_WIDTH = 100
_NAME = 40


def as_text(found: Findings) -> str:
    """The two answers, a line per check, what broke and what was fixed, notes."""
    lines = [headline(found), pairing_line(found)]
    lines += [f"  {check_line(row)}" for row in found.checks]
    lines += [f"  {line}" for line in case_lines(found)]
    lines += [f"  note: {short(note, 2 * _WIDTH)}" for note in found.notes]
    return "\n".join(lines)


def as_markdown(found: Findings) -> str:
    lines = [f"**{_escaped(headline(found))}**", "", _escaped(pairing_line(found)), ""]
    lines += [f"- {_escaped(check_line(row))}" for row in found.checks]
    lines += [f"- {_escaped(line)}" for line in case_lines(found)]
    lines += [f"- note: {_escaped(short(note, 2 * _WIDTH))}" for note in found.notes]
    return "\n".join(lines)


def headline(found: Findings) -> str:
    return f"MERGE? {found.merge}   RELEASE? {found.verdict}"


def pairing_line(found: Findings) -> str:
    """What was compared with what, on how many cases."""
    groups = "" if found.units == found.pairs else f" in {found.units} groups"
    names = f"{_tail(found.baseline)} → {_tail(found.variant)}"
    parts = [f"{names}: {found.pairs} cases paired by {found.paired_by}{groups}", *alone(found)]
    return "; ".join(parts)


def alone(found: Findings) -> list[str]:
    """How many cases only one file has, by file."""
    sides = (("old", len(found.only_old)), ("new", len(found.only_new)))
    return [f"{counted(n)} only in the {name} file" for name, n in sides if n]


def _tail(name: str) -> str:
    """The end of a path says more than its beginning."""
    line = short(name, 1000)
    return line if len(line) <= _NAME else "…" + line[-_NAME + 1 :]


def check_line(row: CheckRow) -> str:
    """``right: −0.7 points (−3.1 to +1.7) on 600 cases; drops by less than 3 points: inconclusive, …``"""
    interval = ""
    if row.interval is not None:
        interval = " ({} to {})".format(*(points(end, signed=True).rsplit(" ", 1)[0] for end in row.interval))
    estimate = "–" if row.estimate is None else points(row.estimate, signed=True)
    name = short(row.check, 40)
    return f"{name}: {estimate}{interval} on {board_count(row.n, row.cases)}; {row.target}: {row.verdict}, {row.reason}"


def case_lines(found: Findings) -> list[str]:
    return [
        line
        for word, cases in (("broke", found.broke), ("fixed", found.fixed))
        for line in _cases(word, cases)
    ]


def _cases(word: str, cases: Sequence[CaseChange]) -> list[str]:
    if not cases:
        return [f"{word}: none"]
    names = ", ".join(short(case.case_id, 30) for case in cases[:_SHOWN])
    return [f"{word}: {len(cases)} ({names}{', …' if len(cases) > _SHOWN else ''})"]


def _escaped(text: str) -> str:
    """Text of strangers as text: neither Markdown nor the HTML inside it."""
    return text.translate(_MARKDOWN)


_MARKDOWN = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_{}[]()#+!|~$"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
