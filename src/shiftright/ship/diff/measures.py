"""Both sides beside each other: failures, refusals, format, language, tone, length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from shiftright.evals.compare.advisory import FALSE_DISCOVERIES
from shiftright.evals.compare.unit_means import UnitMeans
from shiftright.ship.diff.findings import Measure
from shiftright.ship.diff.replayed import Replayed
from shiftright.ship.diff.traits import UNREADABLE, Traits
from shiftright.stats import e_bh

Both = tuple[Traits, Traits]
SHARES: tuple[tuple[str, str, Callable[[Traits], bool | None]], ...] = (
    ("failed", "no answer came: an error, a timeout, a limit", lambda side: side.failure is not None),
    (
        "refused",
        "the answer begins by declining, in the phrases of seven languages, or the provider refused",
        lambda side: side.refused,
    ),
    (
        "empty",
        "an answer without text or data",
        lambda side: None if side.failure else side.shape == "empty",
    ),
)
FEWEST = 5
Told = tuple[bool | None, bool | None]


def measures(
    replayed: Sequence[Replayed], both: Sequence[Both], asked: Sequence[str | None]
) -> tuple[Measure, ...]:
    """Those that at least five inputs have on both sides, and where there is anything to tell. ``asked`` is the
    language of each input, None where it cannot be told."""
    wanted = _wants_data([old for old, _ in both])
    told: list[tuple[str, str, list[Told]]] = [
        (name, what, [(read(old), read(new)) for old, new in both]) for name, what, read in SHARES
    ]
    broken: list[Told] = [(_unreadable(old, wanted), _unreadable(new, wanted)) for old, new in both]
    what = "not of the declared type, or JSON that does not parse" + (
        ", or no JSON where it was" if wanted else ""
    )
    told.append(("unreadable", what, broken))
    spoken = [
        (_switched(old, word), _switched(new, word)) for (old, new), word in zip(both, asked, strict=True)
    ]
    told.append(("other language", "an answer in another language than its input", spoken))
    shares = (_share(name, what, replayed, values) for name, what, values in told)
    found = _corrected([measure for measure in shares if measure is not None])
    tone = _tone(replayed, both)
    return (*found, *([tone] if tone else []))


def _wants_data(side: Sequence[Traits]) -> bool:
    """Are most answers JSON? Then one that is not is a fault of format."""
    answered = [one for one in side if one.answered]
    return sum(one.shape == "JSON" for one in answered) > len(answered) / 2


def _unreadable(side: Traits, wanted: bool) -> bool:
    if side.shape == "broken JSON" or (side.failure or "") in UNREADABLE:
        return True
    return wanted and side.answered and side.shape != "JSON"


def _switched(side: Traits, asked: str | None) -> bool | None:
    return None if side.language is None or asked is None else side.language != asked


def _share(
    name: str,
    what: str,
    replayed: Sequence[Replayed],
    told: Sequence[Told],
) -> Measure | None:
    known = [(one.unit, old, new) for one, (old, new) in zip(replayed, told, strict=True)]
    pairs = [(unit, old, new) for unit, old, new in known if old is not None and new is not None]
    if len(pairs) < FEWEST or (name != "failed" and not any(old or new for _, old, new in pairs)):
        return None
    units = [unit for unit, _, _ in pairs]
    fewer = UnitMeans.of([float(old) - float(new) for _, old, new in pairs], units)
    low, high = fewer.interval()
    n = len(pairs)
    return Measure(
        name=name,
        unit="share",
        n=n,
        old=sum(old for _, old, _ in pairs) / n,
        new=sum(new for _, _, new in pairs) / n,
        change=-fewer.mean + 0.0,
        interval=(-high + 0.0, -low + 0.0),
        what=what,
        e_worse=fewer.evidence_of_loss(),
    )


def _corrected(found: Sequence[Measure]) -> list[Measure]:
    if not found:
        return []
    chosen = e_bh([one.e_worse or 0.0 for one in found], FALSE_DISCOVERIES).tolist()
    return [msgspec.structs.replace(one, worse=bad) for one, bad in zip(found, chosen, strict=True)]


def _tone(replayed: Sequence[Replayed], both: Sequence[Both]) -> Measure | None:
    pairs = [
        (one.unit, old.sentiment, new.sentiment)
        for one, (old, new) in zip(replayed, both, strict=True)
        if old.sentiment is not None and new.sentiment is not None
    ]
    if len(pairs) < FEWEST:
        return None
    # halved, so that a difference of two numbers in [-1, 1] lies in [-1, 1]
    means = UnitMeans.of([(new - old) / 2 for _, old, new in pairs], [unit for unit, _, _ in pairs])
    low, high = means.interval()
    n = len(pairs)
    return Measure(
        name="tone",
        unit="tone",
        n=n,
        old=sum(old for _, old, _ in pairs) / n,
        new=sum(new for _, _, new in pairs) / n,
        change=2 * means.mean,
        interval=(2 * low, 2 * high),
        what="from −1 hostile to +1 friendly, words of English answers by VADER's lexicon, mean over sentences",
    )
