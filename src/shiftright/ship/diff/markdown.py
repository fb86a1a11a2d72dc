"""``shiftright diff --markdown``: a page of GitHub-flavoured Markdown, details folded."""

from __future__ import annotations

from collections.abc import Iterator

from shiftright.decisions.words import points
from shiftright.evals.report.markdown import SIGN, board, code, escaped
from shiftright.ship.diff.findings import Behaviour, ModelDiff
from shiftright.ship.diff.showing import beside, extent, said

GROUPS = 12
SLICES = 8


def to_markdown(found: ModelDiff) -> str:
    """Inputs and answers stand in code spans, where nothing in them means anything."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: ModelDiff) -> Iterator[str]:
    yield f"### {escaped(found.feature)}: {escaped(found.old.name)} → {escaped(found.new.name)}"
    yield ""
    yield f"{SIGN[found.verdict]} **{found.verdict}** on {escaped(found.inputs)}"
    yield ""
    for sentence in found.recommendation:
        yield escaped(sentence)
        yield ""
    yield from board(found.checks)
    yield f"| | {escaped(found.old.name)} | {escaped(found.new.name)} | change (95 % interval) | |"
    yield "|---|--:|--:|--:|---|"
    for row in beside(found):
        yield f"| {' | '.join(map(escaped, (row.name, row.old, row.new, row.change, row.mark)))} |"
    yield ""
    for group in found.behaviours[:GROUPS]:
        yield from _group(group)
    if len(found.behaviours) > GROUPS:
        yield f"_… and {len(found.behaviours) - GROUPS} more groups._"
        yield ""
    yield from _slices(found)
    for note in found.notes:
        yield f"> {escaped(note)}"
        yield ""
    yield f"<sub>{escaped(found.run_id)} · {code(found.command)}</sub>"


def _group(group: Behaviour) -> Iterator[str]:
    mark = " · beyond chance" if group.marked else ""
    yield f"<details><summary>{escaped(group.name)}: {escaped(extent(group))}{mark}</summary>"
    yield ""
    if group.clusters:
        names = "; ".join(f"{cluster.name} ({len(cluster.cases)})" for cluster in group.clusters)
        yield f"Inputs with: {escaped(names)}"
        yield ""
    yield "| input | before | now |"
    yield "|---|---|---|"
    for example in group.examples:
        yield f"| {code(example.input)} | {code(said(example, 'old'))} | {code(said(example, 'new'))} |"
    yield ""
    yield "</details>"
    yield ""


def _slices(found: ModelDiff) -> Iterator[str]:
    if not found.slices:
        return
    yield "| slice (advisory) | check | cases | change | |"
    yield "|---|---|--:|--:|---|"
    for row in found.slices[:SLICES]:
        cells = (
            row.tag,
            row.metric,
            f"{row.n:,}",
            points(row.change, signed=True),
            "worse" if row.worse else "",
        )
        yield f"| {' | '.join(map(escaped, cells))} |"
    yield ""
