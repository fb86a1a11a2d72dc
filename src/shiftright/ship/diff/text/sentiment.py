"""How friendly or hostile the words of an English answer are, by the lexicon of VADER (Hutto & Gilbert 2014).

Of its rules negation is kept; capitals, exclamation marks and emoticons, which it has for social media, are not.
"""

from __future__ import annotations

import math
import re
from functools import cache
from importlib.resources import files

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"[a-z][a-z'\-]*[a-z]|[a-z]")
_NOT = frozenset(
    (
        *("not", "no", "never", "none", "nothing", "nowhere", "neither", "nor", "cannot", "without"),
        *("rarely", "seldom", "hardly", "barely", "despite"),
    )
)
_BEFORE = 3
_NEGATED = -0.74
_SCALE = 15.0
MOST_SENTENCES = 200


def sentiment(text: str) -> float:
    """In [-1, 1]: the mean over sentences, so that a long answer is no more emotional than a short one."""
    sentences = [part for part in _SENTENCE.split(text.lower()) if part.strip()][:MOST_SENTENCES]
    return sum(map(_of_sentence, sentences)) / len(sentences) if sentences else 0.0


def _of_sentence(sentence: str) -> float:
    lexicon, words = _lexicon(), _WORD.findall(sentence)
    total = 0.0
    for place, word in enumerate(words):
        valence = lexicon.get(word)
        if valence is not None:
            before = words[max(place - _BEFORE, 0) : place]
            negated = any(other in _NOT or other.endswith("n't") for other in before)
            total += valence * (_NEGATED if negated else 1.0)
    return total / math.sqrt(total * total + _SCALE)


@cache
def _lexicon() -> dict[str, float]:
    text = (files("shiftright.ship.diff.text") / "vader_lexicon.txt").read_text(encoding="utf-8")
    return {word: float(valence) for word, _, valence in (line.partition(" ") for line in text.splitlines())}
