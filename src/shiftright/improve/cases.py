"""What a person said would have been right, as a case of the ``must`` file: the next version has to pass it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from shiftright import datasets
from shiftright import spec as specs
from shiftright.core.case import Case, Message, digest_of
from shiftright.core.spec import Spec
from shiftright.errors import DatasetError, UsageError
from shiftright.settings import Settings
from shiftright.spec.editing import add_split
from shiftright.tracing.exchange import is_conversation

Consent = Literal["given", "not_needed"]
"""Why the words of a user may be kept: the user agreed, or nothing in them is about a person."""

MUST = "must.jsonl"


class AddedCase(msgspec.Struct, frozen=True):
    """A case in ``file``. ``added`` is False where the same case was there already; ``edit`` says what was changed in
    the contract so that it names the file."""

    feature: str
    case: Case
    file: Path
    added: bool
    edit: str | None = None


def add_case(
    settings: Settings,
    feature: str,
    *,
    value: Any,
    correction: Any,
    source: str,
    consent: Consent,
    tags: tuple[str, ...] = (),
) -> AddedCase:
    """Append a case to the feature's ``must`` file, making file and key of the contract where there are none.

    Args:
        value: what the feature was given (data, a text or a list of messages).
        correction: the right answer; a bare one is put under the field that the contract's checks look at.
        source: where it comes from, ``trace:ID`` or ``run:ID/CASE``.

    Raises:
        UsageError: for an unknown feature.
        SpecError: when the contract cannot be read, or not be made to name the file.
        DatasetError: when the file has this input with another answer.
    """
    spec = specs.load(specs.named(feature, settings.root))
    expected = as_expected(spec, correction)
    case = _case(value, expected, source, (*tags, f"consent:{consent}"))
    file = spec.cases.get("must") or spec.root / MUST
    there = _there(file, case)
    if there is None:
        datasets.append(file, [case])
    edit = None
    if "must" not in spec.cases:
        edit = add_split(spec.path, "must", MUST)
    return AddedCase(spec.feature, there or case, file, there is None, edit)


def as_expected(spec: Spec, correction: Any) -> Any:
    """ "refunds" as {"queue": "refunds"} where a check compares the field ``queue``; a mapping is taken as it is."""
    fields = [check.params["field"] for check in spec.checks if isinstance(check.params.get("field"), str)]
    if not fields or isinstance(correction, dict):
        return correction
    for name in reversed(fields[0].split(".")):
        correction = {name: correction}
    return correction


def messages_of(value: Any) -> tuple[Message, ...] | None:
    """The turns of a conversation, as a Case has them; None for any other input."""
    if not is_conversation(value) or not all("content" in turn for turn in value):
        return None
    return tuple(
        Message(
            turn["role"],
            turn["content"],
            {key: item for key, item in turn.items() if key not in ("role", "content")},
        )
        for turn in value
    )


def _case(value: Any, expected: Any, source: str, tags: tuple[str, ...]) -> Case:
    if value is None:
        raise UsageError(
            "the trace holds no input, so it makes no case", hint="Turn on the recording of inputs."
        )
    messages = messages_of(value)
    return Case(
        id=digest_of(source, value)[:12],
        input=None if messages else value,
        messages=messages,
        expected=expected,
        tags=tags,
        source=source,
        input_digest=digest_of(value),
        digest=digest_of(value, expected),
    )


def _there(file: Path, case: Case) -> Case | None:
    """The same input in the file already.

    Raises:
        DatasetError: when it expects something else: two answers to one question would fail for ever.
    """
    if not file.exists() or not file.read_bytes().strip():
        return None
    same = next((c for c in datasets.load(file) if c.input_digest == case.input_digest), None)
    if same is not None and same.digest != case.digest:
        raise DatasetError(
            f"case {same.id!r} has this input with another expected answer",
            file=file,
            hint="Correct that case, or dismiss this review.",
        )
    return same
