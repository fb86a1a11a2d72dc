"""What was recorded of a trace that may explain how it went: release, models, prompts, retrievers, and its input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import regex

from shiftright.core.case import digest_of
from shiftright.core.trace import SpanRow
from shiftright.tracing import attributes as names
from shiftright.tracing.exchange import exchange, text_of

_SOURCES = (
    "gen_ai.data_source.id",
    "db.collection.name",
    "db.namespace",
    "retrieval.source",
    "server.address",
)
_TAGS = ("langfuse.trace.tags", "langfuse.tags", "tag.tags", "tags")
_SHORTEST_INPUT = 4
_SCRIPTS = (
    "Latin",
    "Cyrillic",
    "Greek",
    "Arabic",
    "Hebrew",
    "Devanagari",
    "Thai",
    "Hangul",
    "Hiragana",
    "Han",
)
_LETTERS = {name: regex.compile(rf"\p{{Script={name}}}") for name in _SCRIPTS}
# the commonest short words of a language tell it, given a few sentences; short texts stay with their script
_WORDS = {
    "English": "the and is to of my you for not it with this have are please what",
    "German": "der die das und ist nicht ich mein meine ein eine mit für auf wie bitte",
    "French": "le la les et est pas je mon ma un une avec pour des vous que",
    "Spanish": "el la los y es no mi un una con para que por las está se",
    "Italian": "il la gli e è non mio mia un una con per che di sono della",
    "Portuguese": "o a os e é não meu minha um uma com para que do da está",
    "Dutch": "de het een en is niet ik mijn met voor op hoe van dat wat zijn",
}
_COMMON = {name: frozenset(words.split()) for name, words in _WORDS.items()}
_DIGEST = regex.compile(r"[0-9a-f]{24,}")
_LONGEST_READ = 4_000


class Facts(msgspec.Struct, frozen=True):
    """``values`` by kind (see attribution.KINDS), "" where nothing was recorded; ``text`` is what a person would read
    of the input."""

    values: dict[str, str]
    text: str


def facts_of(spans: Sequence[SpanRow]) -> Facts:
    told = exchange(spans)
    text = "" if told is None or told.value is None else text_of(told.value)[:_LONGEST_READ]
    root = next((span for span in spans if not span.parent_span_id), spans[0] if spans else None)
    served = "" if told is None or root is None else _first(spans, "release") or told.variant
    chats = [span for span in spans if span.operation == "chat"]
    values = {
        "release": served[:12] if _DIGEST.fullmatch(served) else served,
        "model snapshot": _joined(
            str(span.attributes.get(names.RESPONSE_MODEL) or span.model) for span in chats
        ),
        "prompt": _joined(_prompt(span, text) for span in chats),
        "retriever": _joined(
            _retriever(span) for span in spans if span.operation in ("retrieval", "embeddings")
        ),
        "length": _length(text),
        "language": language(text),
        "tags": _joined(_tags(spans)),
    }
    return Facts(values, text)


def language(text: str) -> str:
    """The script's name, of Latin script the language's where its commonest words tell it; "" of no letters."""
    counts = {name: len(letters.findall(text)) for name, letters in _LETTERS.items()}
    script = max(counts, key=lambda name: counts[name])
    if not counts[script]:
        return ""
    if script != "Latin":
        return "Japanese" if script in ("Han", "Hiragana") and counts["Hiragana"] else script
    words = text.casefold().split()
    hits = {name: sum(word in common for word in words) for name, common in _COMMON.items()}
    best = max(hits, key=lambda name: hits[name])
    return best if hits[best] > max((n for name, n in hits.items() if name != best), default=0) else "Latin"


def _prompt(span: SpanRow, text: str) -> str:
    """A short digest of the words around the input: the system message, the template where the input stands in it."""
    try:
        messages = msgspec.json.decode(span.input) if span.input else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        messages = span.input
    turns = [turn for turn in messages if isinstance(turn, dict)] if isinstance(messages, list) else []
    parts = [str(span.attributes.get(names.SYSTEM_INSTRUCTIONS, ""))]
    for turn in turns:
        said = turn.get("content", turn.get("parts"))
        said = said if isinstance(said, str) else msgspec.json.encode(said).decode("utf-8", "replace")
        if turn.get("role") in ("system", "developer"):
            parts.append(said)
        elif len(text) >= _SHORTEST_INPUT and text in said:
            parts.append(said.replace(text, "{{ input }}"))
    known = [part for part in parts if part]
    return f"text {digest_of(known)[:8]}" if known else ""


def _retriever(span: SpanRow) -> str:
    sources = [str(span.attributes[name]) for name in _SOURCES if span.attributes.get(name)]
    return " ".join((span.name, *sources, *([span.model] if span.model else [])))


def _length(text: str) -> str:
    """Characters, by powers of two."""
    if not text:
        return ""
    low = 1 << (len(text).bit_length() - 1)
    return f"{low:,} to {2 * low - 1:,} characters"


def _tags(spans: Sequence[SpanRow]) -> Iterator[str]:
    for span in spans:
        for name in _TAGS:
            given: Any = span.attributes.get(name)
            if isinstance(given, list):
                yield from map(str, given)
            elif given:
                yield str(given)


def _joined(found: Any) -> str:
    return ", ".join(sorted({each for each in found if each}))


def _first(spans: Sequence[SpanRow], field: str) -> str:
    return next((text for span in spans if (text := getattr(span, field))), "")
