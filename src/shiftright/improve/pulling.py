"""Traces, labels and cases from where people have them already, through one interface: a Reader.

A reader comes in as an entry point of ``shiftright.readers``: name -> something that is called with the environment
(a mapping) and gives a Reader. ``docs/readers.md`` shows one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from shiftright import datasets
from shiftright.core.case import Case
from shiftright.core.trace import SpanRow
from shiftright.errors import UsageError
from shiftright.improve.reviews import CORRECT
from shiftright.store import Records
from shiftright.store.rows import ScoreRow

SPANS_AT_ONCE = 500

Keep = Callable[[Sequence[SpanRow]], object]
"""Takes spans and returns when they are durable; a span that is there already is not kept twice."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The cases of ``dataset``; without one, the newest ``limit`` traces (None: all) that began at ``since_ns`` or
    later (nanoseconds since 1970), only those called ``name`` where it is given. ``feature`` is what they are filed
    under ("": none)."""

    dataset: str | None = None
    feature: str = ""
    name: str | None = None
    since_ns: int | None = None
    limit: int | None = None


class Pulled(msgspec.Struct, frozen=True):
    """One trace, whole, and what was said of it.

    Ids have OpenTelemetry's form and are the same at every reading. The ``author`` of a scorer's score is never "":
    nobody here chose these traces by lot.
    """

    spans: tuple[SpanRow, ...]
    scores: tuple[ScoreRow, ...] = ()


class Reader(Protocol):
    """One tool that people keep traces or cases in."""

    def read(self, wanted: Wanted) -> AsyncIterator[Pulled | Case | str]:
        """Traces one by one, or cases where a dataset is wanted; a text says what was left out and why.

        Raises:
            CredentialsError: a key is missing or refused.
            UsageError: there is no such dataset, or the tool's address is none.
            StoreError: the tool does not answer, or not as it is documented to.
        """
        ...


class Taken(msgspec.Struct, kw_only=True):
    """``scores`` are those that were new; ``left_out`` says what was not taken and why."""

    traces: int = 0
    spans: int = 0
    scores: int = 0
    cases: int = 0
    left_out: list[str] = []


async def pull_traces(
    reader: Reader, wanted: Wanted, records: Records, keep: Keep, *, correct: str | None = None
) -> Taken:
    """Take traces and their scores in; doing it again takes in only what is new.

    Args:
        correct: the name of the score by which people there say whether an answer is right; it becomes the label
            ``correct`` here.
    """
    taken = Taken()
    async for found in reader.read(wanted):
        if isinstance(found, str):
            taken.left_out.append(found)
        elif isinstance(found, Pulled):
            for start in range(0, len(found.spans), SPANS_AT_ONCE):
                await asyncio.to_thread(keep, found.spans[start : start + SPANS_AT_ONCE])
            scores = [_labelled(row, correct) for row in found.scores]
            taken.scores += await asyncio.to_thread(_add, records, scores)
            taken.traces += 1
            taken.spans += len(found.spans)
    return taken


async def pull_cases(reader: Reader, wanted: Wanted, file: Path) -> Taken:
    """Write the dataset's cases to a new file, all or none.

    Raises:
        UsageError: when the file is there already, or there are no cases.
    """
    if await asyncio.to_thread(file.exists):
        raise UsageError("is there already: nothing was written", file=file, hint="Name another --to FILE.")
    taken, cases = Taken(), []
    async for found in reader.read(wanted):
        if isinstance(found, str):
            taken.left_out.append(found)
        elif isinstance(found, Case):
            cases.append(found)
    if not cases:
        raise UsageError(
            f"dataset {wanted.dataset!r} has no cases that can be taken"
            + "".join(f"; {why}" for why in taken.left_out[:3])
        )
    await asyncio.to_thread(datasets.append, file, cases)
    taken.cases = len(cases)
    return taken


def _labelled(row: ScoreRow, correct: str | None) -> ScoreRow:
    if row.score.source != "human" or row.score.name != correct:
        return row
    return msgspec.structs.replace(row, score=msgspec.structs.replace(row.score, name=CORRECT))


def _add(records: Records, scores: Sequence[ScoreRow]) -> int:
    """Scores have no id of their own here: one is known by who said it, when, of what."""
    known = {
        _key(row) for trace in {row.trace_id for row in scores} for row in records.scores.of_trace(trace)
    }
    new = [row for row in scores if _key(row) not in known]
    records.scores.add(new)
    return len(new)


def _key(row: ScoreRow) -> tuple[object, ...]:
    score = row.score
    return (row.trace_id, score.name, score.source, score.value, score.label, row.author, row.created_at)
