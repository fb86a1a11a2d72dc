"""Which inputs changed: those that share words which are rarer elsewhere, named by these words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from math import ceil, log

from shiftright.ship.diff.findings import Cluster

MOST = 4
SMALLEST = 3
NAMED_BY = 3
MOST_WORDS = 400
_WORD = re.compile(r"[^\W\d_]{3,}")
_TOO_COMMON = 0.4
_TOGETHER = 0.5
_LIKELIER = 1.5
_NEARLY_ALL = 0.9
_SMALLEST_SHARE = 0.1


def words_of(text: str) -> frozenset[str]:
    """The first 400 words of three letters and more, in lower case, without those that stand in any text."""
    return frozenset(_WORD.findall(text.casefold())[:MOST_WORDS]) - _stop_words()


@cache
def _stop_words() -> frozenset[str]:
    """Words that say how something is asked and not what: a cluster named "for · with" tells nobody anything."""
    text = (files("shiftright.ship.diff.text") / "stop_words.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def clusters(members: Mapping[str, frozenset[str]], every: Sequence[frozenset[str]]) -> tuple[Cluster, ...]:
    """At most four clusters of a group's inputs (``members``: id to words), largest first; an input is in one of them
    at most. ``every`` has the words of all inputs, the group's among them.

    Greedy: the word that tells the group best from the rest (how many of its inputs have it, times the log of how much
    likelier it is among them) makes a cluster of the inputs that have it, and so on with the others. Words in more
    than 40 % of all inputs, or not half as likely again among the group's, tell nothing; three inputs and a tenth of
    the group are the least.
    """
    if len(members) > _NEARLY_ALL * len(every):
        return ()  # which inputs changed? all of them
    everywhere = Counter(word for words in every for word in words)
    total, left = len(every), dict(members)
    found: list[Cluster] = []
    least = max(SMALLEST, ceil(_SMALLEST_SHARE * len(members)))
    while len(found) < MOST and len(left) >= least:
        counts = Counter(word for words in left.values() for word in words)
        rated = [
            (count * _lift(count, len(left), everywhere[word], total), word)
            for word, count in counts.items()
            if count >= least and everywhere[word] <= max(_TOO_COMMON * total, SMALLEST)
        ]
        rating, word = max(rated, default=(0.0, ""))
        if rating <= 0.0:
            break
        inside = [id_ for id_, words in left.items() if word in words]
        found.append(Cluster(_name(word, [left[id_] for id_ in inside], everywhere, total), tuple(inside)))
        for id_ in inside:
            del left[id_]
    return tuple(sorted(found, key=lambda cluster: -len(cluster.cases)))


def _lift(inside: int, members: int, everywhere: int, total: int) -> float:
    """Log of how much likelier a word is in the group than in all inputs; 0 where it is not half as likely again."""
    share = (everywhere + 1) / (total + 2)
    likelier = (inside / members) / share
    return log(likelier) if likelier >= _LIKELIER else 0.0


def _name(word: str, inputs: Sequence[frozenset[str]], everywhere: Counter[str], total: int) -> str:
    """The word, and those that go with it most."""
    # a tag often is a word of its inputs
    same = {word, f"#{word}", word.removeprefix("#")}
    beside = Counter(other for words in inputs for other in words - same)
    with_it = [
        (count * log((total + 2) / (everywhere[other] + 1)), other)
        for other, count in beside.items()
        if count >= max(_TOGETHER * len(inputs), 2) and everywhere[other] <= _TOO_COMMON * total
    ]
    best = sorted(with_it, reverse=True)[: NAMED_BY - 1]
    return " · ".join([word, *(other for _, other in best)])
