"""YAML text as plain data that remembers its lines.

YAML 1.2's core schema, so ``no``, ``on`` and ``1:30`` stay the words that were written (YAML 1.1 reads a
boolean and 90). Only mappings, sequences, text, numbers, true/false and null exist; tags are refused and
nothing is constructed. The text is read event by event because libyaml's own composer recurses: deep nesting
kills the process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from shiftright.errors import Error

MAX_DEPTH = 64
MAX_EXPANDED = 10_000
"""Nodes that aliases may add, and ten times the nodes written: a billion laughs end here."""


class Mark(NamedTuple):
    """Where a value stands. ``line`` counts from 1."""

    file: Path | None
    line: int


class Map(dict[str, Any]):
    """A mapping with the mark of each key, and its own."""

    __slots__ = ("mark", "marks")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: dict[str, Mark] = {}


class Seq(list[Any]):
    """A sequence with the mark of each entry, and its own."""

    __slots__ = ("mark", "marks")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: list[Mark] = []


def decode(data: bytes, *, file: Path | None, error: type[Error]) -> str:
    """UTF-8 text (a byte order mark is dropped).

    Raises:
        error: with the line of the first byte that is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = data.count(b"\n", 0, cause.start) + 1
        raise error(
            f"byte 0x{data[cause.start]:02x} is not UTF-8 text",
            file=file,
            line=line,
            hint="Save the file as UTF-8.",
        ) from None


def parse(text: str, *, file: Path | None = None, error: type[Error] = Error, first_line: int = 1) -> Any:
    """The one document of ``text``: Map, Seq, str, int, float, bool or None.

    Args:
        file, error: where the text is from, and the class to raise.
        first_line: the line of ``file`` at which ``text`` starts.

    Raises:
        error: for bad syntax, duplicate keys, tags, cycles, alias bombs, deep nesting, several documents.
    """
    import yaml

    loader_class: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loader = loader_class(text)
        try:
            return _Builder(_events(loader), file, error, first_line).document()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as cause:
        line = text.count("\n", 0, cause.position) + first_line
        raise error("not YAML: a control character", file=file, line=line) from None
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        message = f"not YAML: {cause.problem or cause.context}"
        raise error(message, file=file, line=first_line + (mark.line if mark else 0)) from None


def plain(value: Any) -> Any:
    """The value as ordinary dicts and lists, without marks."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _events(loader: Any) -> Iterator[Any]:
    while loader.check_event():
        yield loader.get_event()


class _Builder:
    """Turns one document's events into data; ``size`` counts nodes, those behind aliases included."""

    def __init__(self, events: Iterator[Any], file: Path | None, error: type[Error], first_line: int) -> None:
        self.events = events
        self.file = file
        self.error = error
        self.first_line = first_line
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.size = 0
        self.written = 0

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self.events:
            if type(event).__name__ != "DocumentStartEvent":
                continue
            documents += 1
            if documents > 1:
                raise self.fail("a second document starts here; one file holds one", event)
            value = self.node(next(self.events), 0)
        return value

    def node(self, event: Any, depth: int) -> Any:
        name = type(event).__name__
        if name == "AliasEvent":
            return self.alias(event)
        if depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels", event)
        self.size += 1
        self.written += 1
        before = self.size
        value: Any
        if name == "ScalarEvent":
            value = self.scalar(event)
        elif name == "MappingStartEvent":
            value = self.mapping(event, depth)
        else:
            value = self.sequence(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.size - before + 1)
        return value

    def alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            raise self.fail(f"*{event.anchor} stands for nothing written above it", event)
        value, size = self.anchors[event.anchor]
        self.size += size
        if self.size > MAX_EXPANDED + 10 * self.written:
            raise self.fail(f"aliases expand to more than {self.size:,} values", event)
        return value

    def mapping(self, event: Any, depth: int) -> Map:
        self.refuse_tag(event, "tag:yaml.org,2002:map")
        result = Map(self.mark(event))
        merged: list[Map] = []
        while type(key_event := next(self.events)).__name__ != "MappingEndEvent":
            key = self.key(key_event)
            value = self.node(next(self.events), depth + 1)
            if key == "<<" and key_event.implicit[0]:
                merged += self.merge_sources(value, key_event)
            elif key in result:
                first = result.marks[key].line
                message = f"{key!r} stands here a second time (first on line {first})"
                raise self.fail(message, key_event, hint="Keep one of them.")
            else:
                result[key] = value
                result.marks[key] = self.mark(key_event)
        for source in merged:
            for key, value in source.items():
                if key not in result:
                    result[key] = value
                    result.marks[key] = source.marks[key]
        return result

    def key(self, event: Any) -> str:
        if type(event).__name__ != "ScalarEvent":
            raise self.fail("a key must be plain text", event)
        return str(event.value)

    def merge_sources(self, value: Any, event: Any) -> list[Map]:
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, Map) for source in sources):
            raise self.fail("<< merges mappings only", event)
        return list(sources)

    def sequence(self, event: Any, depth: int) -> Seq:
        self.refuse_tag(event, "tag:yaml.org,2002:seq")
        result = Seq(self.mark(event))
        while type(entry := next(self.events)).__name__ != "SequenceEndEvent":
            result.append(self.node(entry, depth + 1))
            result.marks.append(self.mark(entry))
        return result

    def scalar(self, event: Any) -> Any:
        if event.implicit[0]:
            return _resolve(event.value)
        if event.implicit[1]:
            return event.value
        self.refuse_tag(event, "tag:yaml.org,2002:str")
        return event.value

    def refuse_tag(self, event: Any, allowed: str) -> None:
        if event.tag not in (None, "!", allowed):
            raise self.fail(f"the tag {event.tag} is not plain data", event, hint="Remove the tag.")

    def mark(self, event: Any) -> Mark:
        return Mark(self.file, event.start_mark.line + self.first_line)

    def fail(self, message: str, event: Any, hint: str | None = None) -> Error:
        return self.error(message, file=self.file, line=self.mark(event).line, hint=hint)


_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def _resolve(text: str) -> Any:
    """Core schema; numbers that JSON cannot hold or would round (infinite, over 18 digits) stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) < 19 else text
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
