"""``shiftright diff --html``: one file that needs nothing else and has no script, safe with any answer in it."""

from __future__ import annotations

import time
from functools import cache
from importlib.resources import files
from typing import Any

from shiftright.evals.report.difference import Piece, cut, difference, laid_out
from shiftright.evals.report.html import SIGN, clause, part, template
from shiftright.evals.report.visible import short, visible
from shiftright.ship.diff.findings import Behaviour, Example, ModelDiff
from shiftright.ship.diff.judging import NO_QUALITY
from shiftright.ship.diff.showing import beside, extent, said

GIST = 110
ENOUGH_LEFT = 0.5
OPEN = 3
"""Groups whose first example is open when the page is."""


def to_html(found: ModelDiff) -> str:
    """The page. Everything of users, models and contracts is escaped; nothing is loaded from anywhere."""
    page: str = _template().render(
        diff=found,
        rows=[clause(row) for row in found.checks],
        beside=beside(found),
        groups=[_group(group, number < OPEN) for number, group in enumerate(found.behaviours)],
        judged=bool(found.checks) and found.reasons != (NO_QUALITY,),
        sign=SIGN,
        made=time.strftime("%d %B %Y, %H:%M %Z"),
        css=part("report.css") + _part("diff.css"),
    )
    return page


def _group(group: Behaviour, opened: bool) -> dict[str, Any]:
    return {
        "group": group,
        "open": opened,
        "extent": extent(group),
        "clusters": [(cluster.name, len(cluster.cases)) for cluster in group.clusters],
        "examples": [_example(example) for example in group.examples],
    }


def _example(example: Example) -> dict[str, Any]:
    before, now = _compared(said(example, "old"), said(example, "new"))
    return {
        "id": example.case_id,
        "gist": short(example.input, GIST),
        "input": cut(laid_out(example.input)),
        "expected": None if example.expected is None else cut(laid_out(example.expected)),
        "before": before,
        "now": now,
        "tags": [visible(tag) for tag in example.tags],
    }


def _compared(old: Any, new: Any) -> tuple[list[Piece], list[Piece]]:
    """Word by word; where little is left of the old answer, both as they are: marks on everything mark nothing."""
    before, now = difference(old, new)
    total = sum(len(piece.text) for side in (before, now) for piece in side)
    kept = sum(len(piece.text) for side in (before, now) for piece in side if not piece.changed)
    if kept >= ENOUGH_LEFT * total:
        return before, now
    plain = [[Piece("".join(piece.text for piece in side), False)] for side in (before, now)]
    return plain[0], plain[1]


def _part(name: str) -> str:
    return (files("shiftright.ship.diff") / name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    return template(_part("diff.html"))
