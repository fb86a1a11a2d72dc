"""The real inputs of a diff: cases of a file, or what users asked lately."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from shiftright import datasets, scorers
from shiftright.core.case import Case, Message, digest_of
from shiftright.core.counting import counted
from shiftright.core.spec import Spec
from shiftright.core.trace import TraceFilter
from shiftright.decisions.order import Step, arrange
from shiftright.errors import SpecError, UsageError
from shiftright.ship.diff.judging import SEED
from shiftright.store import Records
from shiftright.store.telemetry import TraceReader
from shiftright.store.texts import OF_TRACE
from shiftright.tracing.exchange import Exchange, exchange, is_conversation

MOST_TRACES = 500
_PAGE = 200


class Inputs(msgspec.Struct, frozen=True):
    """``steps`` in the order of the test. ``spec`` has the checks these inputs can be scored on. ``liked`` maps a case
    to the mean of what users said of its trace. ``live`` inputs are users' own: nothing of them is kept but answers,
    which go when their traces do."""

    what: str
    steps: tuple[Step, ...]
    spec: Spec
    notes: tuple[str, ...] = ()
    liked: dict[str, float] = {}
    live: bool = False
    split: str = ""

    @property
    def cases(self) -> list[Case]:
        return [step.case for step in self.steps]


def of_cases(spec: Spec, split: str, limit: int | None) -> Inputs:
    """The cases of a split, in random order where ``limit`` leaves some out.

    Raises:
        SpecError: the contract has no such split.
        UsageError: its cases are sealed, and a diff shows what was answered.
        DatasetError: they cannot be read.
    """
    if split not in spec.cases:
        known = ", ".join(spec.cases) or "none"
        hint = f"It has: {known}. Or replay live inputs: --traces 7d"
        raise SpecError(f"cases: there is no {split}", file=spec.path, hint=hint)
    data = datasets.load(spec.cases[split])
    if data.sealed:
        raise UsageError(
            f"the cases of {split} are sealed, and a diff shows what was asked and answered",
            hint="Replay live inputs instead (--traces 7d), or other cases (--cases dev).",
        )
    steps = _some(data.cases, limit)
    part = "" if len(steps) == len(data) else f"{counted(len(steps))} of "
    what = f"{part}the {counted(len(data), f'{split} case')}"
    return Inputs(what, tuple(steps), spec, data.warnings, split=split)


def of_traces(
    spec: Spec,
    telemetry: TraceReader,
    records: Records,
    *,
    since: str,
    since_ns: int | None,
    limit: int | None,
) -> Inputs:
    """The newest traces of the feature since then: as they were stored, which is redacted. The same input counts once.

    Raises:
        UsageError: there is none with an input.
    """
    most = MOST_TRACES if limit is None else limit
    where = TraceFilter(feature=spec.feature, since_ns=since_ns)
    cases: dict[str, Case] = {}
    liked: dict[str, list[float]] = {}
    read = 0
    for told in _exchanges(telemetry, where, most):
        read += 1
        case = _case(told)
        known = cases.setdefault(case.input_digest, case)
        said = [row.value for row in records.feedback.of_trace(told.trace_id) if row.value is not None]
        liked.setdefault(known.id, []).extend(said)
    if not cases:
        raise UsageError(
            f"no trace of {spec.feature} since {since} has an input to replay",
            hint=f"Look: shiftright traces --feature {spec.feature}. Or replay cases: --cases gate",
        )
    heard = {id_: sum(said) / len(said) for id_, said in liked.items() if said}
    part, notes = without_expected(spec)
    if len(cases) < read:
        notes.append(
            f"{counted(read, 'trace')} have {counted(len(cases), 'different input')}: each is replayed once"
        )
    tagged = [msgspec.structs.replace(case, tags=_tags(heard.get(case.id))) for case in cases.values()]
    what = f"{counted(len(cases), 'live input')} since {since}"
    return Inputs(what, tuple(_some(tagged, None)), part, tuple(notes), heard, live=True, split="live")


def without_expected(spec: Spec) -> tuple[Spec, list[str]]:
    """The contract with the checks that need no expected output, and what is left out."""
    left = [check.name for check in spec.checks if check.score in scorers.NEEDS_EXPECTED]
    notes = [
        f"{name} needs an expected output, which live inputs have not: --cases gate decides it"
        for name in left
    ]
    kept = tuple(check for check in spec.checks if check.name not in left)
    return msgspec.structs.replace(spec, checks=kept), notes


def _some(cases: Sequence[Case], limit: int | None) -> list[Step]:
    """Whole groups, so that one that was cut off is not taken for a smaller one."""
    steps = arrange(cases, seed=SEED).rest
    if limit is None or limit >= len(steps):
        return list(steps)
    end = next((i for i in range(limit, 0, -1) if steps[i - 1].closes), 0)
    end = end or next(i for i, step in enumerate(steps, 1) if step.closes)
    return list(steps[:end])


def _exchanges(telemetry: TraceReader, where: TraceFilter, most: int) -> Iterator[Exchange]:
    left, cursor = most, None
    while left > 0:
        page = telemetry.traces(where, limit=min(left, _PAGE), cursor=cursor)
        for row in page.data:
            told = exchange(telemetry.trace(row.trace_id))
            if told is not None and told.value is not None:
                yield told
        left -= len(page.data)
        cursor = page.next_cursor
        if cursor is None:
            return


def _case(told: Exchange) -> Case:
    value = told.value
    digest = digest_of(value)
    name = f"{OF_TRACE}{told.trace_id}"
    group = told.session or told.user or None
    if is_conversation(value):
        turns = tuple(_message(turn) for turn in value)
        return Case(name, messages=turns, group=group, input_digest=digest, digest=digest)
    return Case(name, input=value, group=group, input_digest=digest, digest=digest)


def _message(turn: dict[str, object]) -> Message:
    rest = {key: value for key, value in turn.items() if key not in ("role", "content")}
    return Message(str(turn["role"]), turn.get("content"), rest)


def _tags(liked: float | None) -> tuple[str, ...]:
    """What users said makes a slice."""
    if liked is None:
        return ()
    return ("disliked by users",) if liked < 0.5 else ("liked by users",)
