"""What changed when a check fell: traces before and after, compared in what was recorded of them.

Shares of values are compared by a permutation test on their total variation, words by two proportions, each at its part
of 1 %. It says what changed, not that it is the cause; a change that nobody recorded cannot be found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import Any

import msgspec

from shiftright.core.case import digest_of
from shiftright.core.trace import TraceFilter
from shiftright.monitor.recorded import Facts, facts_of
from shiftright.store.telemetry import TelemetryStore

LOOKED_AT = 200
"""Traces on each side."""
_FEWEST = 20
_ERROR = 0.01
_SHUFFLES = 1_999
_SMALLEST = 0.1
_FEWEST_WITH_WORD, _MOST_WORDS, _SHOWN_WORDS = 5, 2_000, 5
_WORD = re.compile(r"[^\W\d_]{3,}")
KINDS = ("release", "model snapshot", "prompt", "retriever", "length", "language", "tags")
"""In the order in which one brings about the next; the last three and the words are the input mix."""
_INPUT = frozenset({"length", "language", "tags", "words"})


class Difference(msgspec.Struct, frozen=True):
    """``kind`` of what was recorded: its most typical value before and after, and the share of traces in which the
    latter stands, before and after."""

    kind: str
    before: str
    after: str
    share_before: float
    share_after: float

    @property
    def said(self) -> str:
        shares = f"{100 * self.share_before:.0f} % → {100 * self.share_after:.0f} % of the traces"
        name = f"input mix, {self.kind}" if self.kind in _INPUT else self.kind
        return f"{name}: {f'{self.before} → ' if self.before else ''}{self.after} ({shares})"


class Attribution(msgspec.Struct, frozen=True):
    """``said`` in words; ``differences`` most likely cause first."""

    said: str
    differences: tuple[Difference, ...]


def attribute(feature: str, since: float, telemetry: TelemetryStore) -> Attribution:
    """What changed at about ``since`` (seconds since 1970). Blocks on the store."""
    moment = int(since * 1e9)
    before = _facts(TraceFilter(feature=feature, until_ns=moment), telemetry)
    after = _facts(TraceFilter(feature=feature, since_ns=moment), telemetry)
    return compare(before, after)


def compare(before: Sequence[Facts], after: Sequence[Facts]) -> Attribution:
    """Of traces before a change and after it."""
    if min(len(before), len(after)) < _FEWEST:
        few = f"what changed cannot be told: {len(before)} traces before it and {len(after)} after it are stored"
        return Attribution(few, ())
    error = _ERROR / (len(KINDS) + 1)
    found = [
        difference
        for kind in KINDS
        if (
            difference := _shares(
                kind, [f.values[kind] for f in before], [f.values[kind] for f in after], error
            )
        )
    ]
    found += _words(before, after, error)
    if found:
        return Attribution("changed: " + "; ".join(difference.said for difference in found), tuple(found))
    known = [kind for kind in KINDS[:4] if any(f.values[kind] for f in (*before, *after))]
    looked = ", ".join((*known, "input mix"))
    return Attribution(f"nothing of what is recorded changed ({looked})", ())


def _facts(where: TraceFilter, telemetry: TelemetryStore) -> list[Facts]:
    page = telemetry.traces(where, limit=LOOKED_AT)
    return [facts_of(telemetry.trace(row.trace_id)) for row in page.data]


def _shares(kind: str, before: list[str], after: list[str], error: float) -> Difference | None:
    import numpy as np

    names, codes = np.unique([*before, *after], return_inverse=True)
    if len(names) < 2:
        return None
    n, size = len(before), len(names)

    def distance(mixed: Any) -> float:
        first = np.bincount(mixed[:n], minlength=size) / n
        second = np.bincount(mixed[n:], minlength=size) / (len(mixed) - n)
        return float(np.abs(first - second).sum()) / 2

    seen = distance(codes)
    if seen < _SMALLEST:
        return None
    rng = np.random.default_rng(int(digest_of(kind, before, after)[:12], 16))
    as_far = sum(distance(rng.permutation(codes)) >= seen - 1e-12 for _ in range(_SHUFFLES))
    if (as_far + 1) / (_SHUFFLES + 1) > error:
        return None
    was, now = Counter(before), Counter(after)
    grown = max(names, key=lambda name: now[name] / len(after) - was[name] / n)
    shrunk = max(names, key=lambda name: was[name] / n - now[name] / len(after))
    return Difference(
        kind, str(shrunk) or "none", str(grown) or "none", was[grown] / n, now[grown] / len(after)
    )


def _words(before: Sequence[Facts], after: Sequence[Facts], error: float) -> list[Difference]:
    """Words of which the inputs speak more often now: a topic, without a model."""
    was, now = (Counter(word for f in side for word in _set(f.text)) for side in (before, after))
    both = was + now
    known = [word for word, n in both.most_common(_MOST_WORDS) if n >= _FEWEST_WITH_WORD]
    if not known:
        return []
    limit = NormalDist().inv_cdf(1 - error / len(known))
    n, m = len(before), len(after)
    grown: list[tuple[float, str]] = []
    for word in known:
        p = both[word] / (n + m)
        gap = now[word] / m - was[word] / n
        if gap >= _SMALLEST and 0.0 < p < 1.0 and gap > limit * sqrt(p * (1 - p) * (1 / n + 1 / m)):
            grown.append((gap, word))
    if not grown:
        return []
    shown = [word for _, word in sorted(grown, reverse=True)[:_SHOWN_WORDS]]
    first, second = ([any(word in _set(f.text) for word in shown) for f in side] for side in (before, after))
    return [Difference("words", "", ", ".join(shown), sum(first) / n, sum(second) / m)]


def _set(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}
