"""The recommendation in plain words, with its error rate."""

from __future__ import annotations

from collections.abc import Sequence

from shiftright.core.spec import Confidence
from shiftright.core.verdict import Verdict
from shiftright.decisions.words import percent, points
from shiftright.evals.compare.findings import Amount, SliceRow
from shiftright.ship.diff.findings import Behaviour, Measure, Saving
from shiftright.ship.diff.judging import NO_QUALITY

MOST_SAID = 3
CLEARLY = 0.1
CLEARLY_TWICE = 2.0
LOWER = 0.05


def recommendation(
    old: str,
    new: str,
    verdict: Verdict,
    *,
    confidence: Confidence,
    measures: Sequence[Measure],
    amounts: Sequence[Amount],
    slices: Sequence[SliceRow],
    behaviours: Sequence[Behaviour],
    saving: Saving,
) -> tuple[str, ...]:
    """What to do, what else stands out, what it is worth: a sentence or two each."""
    said = [_advice(old, new, verdict, confidence)]
    worse = [f"{m.name} {percent(m.old)} → {percent(m.new)}" for m in measures if m.worse]
    if worse:
        said.append(f"Worse, beyond chance: {', '.join(worse)}.")
    said += _in_slices(slices)
    other = [told for item in amounts if (told := _otherwise(item))]
    if other:
        said.append(f"On the same inputs, {new}'s answers {' and '.join(other)}.")
    often = [f"{b.name} ({b.n}; the other way {b.back})" for b in behaviours if b.marked]
    if often:
        more = f", and {len(often) - MOST_SAID} more" if len(often) > MOST_SAID else ""
        said.append(
            f"What changes one way more often than the other: {', '.join(often[:MOST_SAID])}{more}. "
            "Of all that is called beyond chance here, at most 5 % is expected to be wrong."
        )
    said.append(saving.sentence)
    return tuple(said)


def _in_slices(slices: Sequence[SliceRow]) -> list[str]:
    """A side that is better on the whole may be worse somewhere; what is not proven is worth a look all the same."""
    proven = [row for row in slices if row.worse]
    lower = [row for row in slices if not row.worse and row.change <= -LOWER]
    said = []
    if proven:
        said.append(f"Worse, beyond chance, in slices: {_listed(proven)}.")
    if lower:
        said.append(f"Lower in slices, which may be chance: {_listed(lower)}. Look at them before you move.")
    return said


def _listed(rows: Sequence[SliceRow]) -> str:
    shown = [
        f"{row.tag} ({row.metric} {points(row.change, signed=True)} on {row.n})" for row in rows[:MOST_SAID]
    ]
    return ", ".join(shown) + (f", and {len(rows) - MOST_SAID} more" if len(rows) > MOST_SAID else "")


def _otherwise(item: Amount) -> str | None:
    """An amount that is clearly another one; cost is said with the saving."""
    if item.ratio is None or item.ratio_interval is None or item.name == "cost":
        return None
    low, high = item.ratio_interval
    if low <= 1.0 <= high or abs(item.ratio - 1.0) < CLEARLY:
        return None
    between = f"(×{max(low, 0.0):.2f} to ×{high:.2f})"
    verb, less, more, twice = _WORDS[item.name]
    if item.ratio >= CLEARLY_TWICE:
        return f"{verb} {item.ratio:.1f} times {twice} on average {between}"
    change = percent(round(abs(item.ratio - 1.0), 2))
    return f"{verb} {change} {less if item.ratio < 1.0 else more} on average {between}"


_WORDS = {
    "length": ("are", "shorter", "longer", "as long"),
    "latency": ("take", "less time", "more time", "as long"),
}


def _advice(old: str, new: str, verdict: Verdict, confidence: Confidence) -> str:
    if not verdict.checks or verdict.reasons == (NO_QUALITY,):
        return (
            "This describes and does not judge: no check of the contract looks at what these inputs are answered. "
            "Read the groups below, and label what matters."
        )
    first = verdict.reasons[0] if verdict.reasons else ""
    if verdict.verdict == "pass":
        return (
            f"Move to {new}: every check is proven to hold against {old}. A side that is worse by the margin is "
            f"recommended in at most {percent(confidence.wrong_ship)} of such diffs."
        )
    if verdict.verdict == "fail":
        proven = verdict.merge == "no"
        rate = percent(confidence.false_red if proven else confidence.wrong_block)
        kind = "harmless" if proven else "good"
        return f"Stay with {old}: {first}. A {kind} change is turned away like this in at most {rate} of such diffs."
    return f"Not decided: {first}. Nothing is proven either way, so stay with {old} until more inputs were replayed."
