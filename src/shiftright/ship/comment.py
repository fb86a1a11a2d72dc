"""A gate's answers for a pull request: one comment that is found again by its first line, and JUnit XML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from shiftright.core.counting import counted
from shiftright.core.verdict import Calls
from shiftright.evals.report import junit
from shiftright.evals.report.gather import RunReport
from shiftright.evals.report.markdown import SIGN, board, details, escaped
from shiftright.ship.gate import FeatureGate, Gate, VariantGate

MARKER = "<!-- shiftright:gate -->"
NOTHING = "No feature is touched: nothing was evaluated."
MOST_FILES = 5
# GitHub takes 65,536 characters; what is left out is said.
LONGEST = 60_000

Reports = Mapping[str, RunReport]
"""By run id: what the records know of each run, beyond its verdict."""


def to_markdown(gate: Gate, reports: Reports) -> str:
    """GitHub-flavoured Markdown; GitLab's is close enough. Nobody's text in it can be markup."""
    lines, length = [MARKER, *_head(gate)], 0
    for feature in gate.features:
        part = list(_feature(feature, reports))
        length += sum(map(len, part)) + len(part)
        if length > LONGEST:
            part = [f"_{escaped(feature.feature)}: the details are too long for a comment._", ""]
        lines += part
    lines += [f"> {escaped(note)}" for note in gate.notes]
    lines.append(f"<sub>Compared with {gate.base[:12]} · shiftright gate</sub>")
    return "\n".join(lines) + "\n"


def to_junit(gate: Gate) -> str:
    """A suite per variant: its merge and its clauses. Cases stay out; they are the run's own report."""
    root = Element("testsuites", name="shiftright gate")
    for feature in gate.features:
        for each in feature.variants:
            name = f"{feature.feature}.{each.variant}"
            junit.contract(root, name, each.merge, each.reasons, each.checks)
        if not any(each.merge == "no" for each in feature.variants):
            junit.contract(root, f"{feature.feature}.contract", feature.merge, feature.reasons, ())
    return junit.document(root)


def _head(gate: Gate) -> Iterator[str]:
    if not gate.features:
        yield f"### Merge? {SIGN['yes']} yes"
        yield ""
        yield NOTHING
        yield ""
        return
    yield f"### Merge? {SIGN[gate.merge]} {gate.merge} · Release? {SIGN[gate.verdict]} {gate.verdict}"
    yield ""
    yield "| feature | merge? | release? | why | calls |"
    yield "|---|---|---|---|--:|"
    for feature in gate.features:
        why = escaped(feature.reasons[0] if feature.reasons else "")
        name, merge, verdict = escaped(feature.feature), feature.merge, feature.verdict
        yield (
            f"| **{name}** | {SIGN[merge]} {merge} | {SIGN[verdict]} {verdict} | {why} | {_calls(feature.calls)} |"
        )
    yield ""


def _feature(feature: FeatureGate, reports: Reports) -> Iterator[str]:
    for line in feature.looser:
        agreed = f" (agreed to by {escaped(feature.signed_by)})" if feature.signed_by else ""
        yield f"> ⚠️ **looser contract** of {escaped(feature.feature)}: {escaped(line)}{agreed}"
    yield from (f"> {escaped(note)}" for note in feature.notes)
    if feature.looser or feature.notes:
        yield ""
    for each in feature.variants:
        if each.checks:
            yield from _variant(feature, each, reports)
        else:
            yield f"- {escaped(feature.feature)} · {escaped(each.variant)}: {escaped('; '.join(each.reasons))}"
            yield ""
    shown = ", ".join(feature.files[:MOST_FILES])
    more = f" and {len(feature.files) - MOST_FILES} more" if len(feature.files) > MOST_FILES else ""
    if shown:
        yield f"<sub>{escaped(feature.feature)} is touched by {escaped(shown)}{more}</sub>"
        yield ""


def _variant(feature: FeatureGate, each: VariantGate, reports: Reports) -> Iterator[str]:
    title = f"{escaped(feature.feature)} · {escaped(each.variant)} against {escaped(each.baseline or 'its contract')}"
    answers = f"merge? {SIGN[each.merge]} {each.merge} · release? {SIGN[each.verdict]} {each.verdict}"
    opened = " open" if each.merge == "no" else ""
    yield f"<details{opened}><summary><b>{title}</b>: {answers}</summary>"
    yield ""
    for reason in each.reasons[:3]:
        yield f"- {escaped(reason)}"
    yield ""
    report = reports.get(each.run_id or "")
    yield from board(each.checks) if report is None else details(report)
    yield from (f"> {escaped(note)}\n" for note in each.notes[:5])
    yield "</details>"
    yield ""


def _calls(calls: Calls) -> str:
    said = counted(calls.made + calls.baseline_made, "call")
    return f"{said}, {calls.cached:,} reused" if calls.cached else said
