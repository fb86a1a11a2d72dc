"""What a user says of a trace: kept as Feedback; a complaint opens a Review, a later one on the same trace joins it."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec

from shiftright.errors import UsageError
from shiftright.store import Records
from shiftright.store.rows import FeedbackRow
from shiftright.tracing.exchange import Exchange, Lookup, exchange
from shiftright.tracing.redaction import Redaction

LARGEST_BODY = 100_000
"""Bytes of one POST; words of a person are shorter."""

_Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Words = Annotated[str, msgspec.Meta(max_length=20_000)]
_TraceId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/feedback``.

    ``value``: 1 is good and 0 is bad (true and false do as well). ``correction`` is what would have been right, as
    text or as the JSON that the feature should have given. ``token`` is what a browser shows instead of a key.
    """

    trace_id: _TraceId
    name: _Line = "thumbs"
    value: bool | Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] | None = None
    comment: _Words | None = None
    correction: Any = None
    user: _Line | None = None
    idempotency_key: _Line | None = None
    token: _Line | None = None

    @property
    def complains(self) -> bool:
        return self.correction is not None or (self.value is not None and float(self.value) < 0.5)


def read(body: bytes) -> Given:
    """The body of a request.

    Raises:
        UsageError: when it is too large, no JSON, or not of that shape.
    """
    hint = 'Send {"trace_id": "32 hex digits", "value": 1 or 0, "comment": "…", "correction": …}.'
    if len(body) > LARGEST_BODY:
        raise UsageError(f"feedback is at most {LARGEST_BODY:,} bytes", hint=hint)
    try:
        given = _decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as cause:
        raise UsageError(f"no feedback: {cause}", hint=hint) from None
    if given.value is None and given.comment is None and given.correction is None:
        raise UsageError("feedback needs a value, a comment or a correction", hint=hint)
    return given


def take(records: Records, lookup: Lookup, given: Given, redaction: Redaction | None = None) -> FeedbackRow:
    """Keep the feedback, and open or join a review where it complains. Sent again with its key, it counts once.

    What the user wrote is redacted as traces are (default: secrets alone). Feedback may come before its trace is
    stored: it is kept without a feature until ``settle`` finds the trace.
    """
    told = exchange(lookup(given.trace_id))
    key = given.idempotency_key
    clean = redaction or Redaction()
    row = FeedbackRow(
        trace_id=given.trace_id,
        name=given.name,
        created_at=time.time(),
        feature=told.feature if told else "",
        value=None if given.value is None else float(given.value),
        comment=None if given.comment is None else clean.text(given.comment),
        correction=_redacted(given.correction, clean),
        user=None if given.user is None else clean.who(given.user),
        # keys of two browsers may be equal, so a key counts within its trace
        idempotency_key=None if key is None else f"{given.trace_id}:{key}",
    )
    stored = records.feedback.add(row)
    if given.complains and not _reviewed(records, stored):
        subject = {"feedback": [stored.id]} | (subject_of(told) if told else {})
        records.reviews.open("complaint", subject, feature=stored.feature, trace_id=stored.trace_id)
    return stored


def _redacted(value: Any, clean: Redaction) -> Any:
    if isinstance(value, str):
        return clean.text(value)
    return msgspec.json.decode(clean.json_or_text(msgspec.json.encode(value).decode()))


def _reviewed(records: Records, stored: FeedbackRow) -> bool:
    """Has a review of it been opened? A request sent again must not open what a person has closed."""
    reviews = records.reviews.list(None, kind="complaint", trace_id=stored.trace_id).data
    return any(stored.id in review.subject.get("feedback", ()) for review in reviews)


def settle(records: Records, lookup: Lookup) -> int:
    """Link feedback that came before its trace: its feature, and what its review shows. Gives how many were found."""
    found = 0
    for trace_id in records.feedback.unlinked():
        told = exchange(lookup(trace_id))
        if told is None:
            continue
        for review in records.reviews.list(trace_id=trace_id).data:
            if "input" not in review.subject:
                subject = subject_of(told) | review.subject
                records.reviews.change(review.id, feature=told.feature, subject=subject)
        if told.feature:
            records.feedback.link(trace_id, told.feature)
            found += 1
    return found


def subject_of(told: Exchange) -> dict[str, Any]:
    """What a reviewer is shown of a trace, as it was: retention may take the trace before the review is done."""
    return {
        "input": told.value,
        "output": told.output,
        "error": told.error,
        "variant": told.variant,
        "model": told.model,
        "user": told.user,
        "session": told.session,
    }


_decode = msgspec.json.Decoder(Given).decode
