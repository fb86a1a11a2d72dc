"""A person's work: what is waiting, grouped; what is said of it becomes a Score, and a correction becomes a case."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec

from shiftright.core.case import digest_of
from shiftright.core.score import Score
from shiftright.core.trace import TraceFilter
from shiftright.errors import UsageError
from shiftright.improve.cases import AddedCase, Consent, add_case
from shiftright.improve.feedback import settle, subject_of
from shiftright.improve.likeness import grouped
from shiftright.improve.preference import score_name
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.store.reviews import ReviewClosed
from shiftright.store.rows import ReviewKind, ReviewRow, ScoreRow
from shiftright.store.telemetry import TraceReader
from shiftright.tracing.exchange import Lookup, exchange, text_of

CORRECT = "correct"
"""Name of a person's score where the review is about no check of the contract."""

MOST_SHOWN = 500
DRAWN_FROM = 500


class Choice(NamedTuple):
    """One of three answers: keys 1, 2 and 3. ``value`` is the score it gives (None: it says nothing of the answer)."""

    word: str
    value: float | None
    says: str


_JUDGED = (
    Choice("real", 0.0, "the answer is wrong"),
    Choice("judge_wrong", 1.0, "the answer is right: what said otherwise is wrong"),
    Choice("case_wrong", None, "it cannot be judged: the input makes no sense or is no case"),
)
_LABELLED = (
    Choice("good", 1.0, "the answer is right"),
    Choice("bad", 0.0, "the answer is wrong"),
    Choice("unclear", None, "it cannot be judged"),
)
_ESCALATED = (
    Choice("answered", None, "the answer is under correction: whoever asked gets it"),
    Choice("declined", None, "there is no answer"),
)
_PREFERRED = (
    Choice("left", 1.0, "the left answer is better"),
    Choice("right", 0.0, "the right answer is better"),
    Choice("tie", 0.5, "neither is better"),
)


_CHOICES = {"label": _LABELLED, "preference": _PREFERRED, "escalation": _ESCALATED}


class ReviewGroup(msgspec.Struct, frozen=True):
    """Open reviews of one feature and kind whose inputs are alike, newest first; ``title`` is the newest one's text."""

    feature: str
    kind: ReviewKind
    title: str
    reviews: tuple[ReviewRow, ...]


class Resolved(msgspec.Struct, frozen=True):
    """``case`` is what was added to ``must``. ``second`` is true where the review was resolved before by somebody else:
    then only this person's score was added, and the two can be compared."""

    review: ReviewRow
    choice: str
    case: AddedCase | None = None
    second: bool = False


def choices(kind: ReviewKind) -> tuple[Choice, ...]:
    """What can be said of a review of this kind, in the order of the keys."""
    return _CHOICES.get(kind, _JUDGED)


def queue(
    records: Records, lookup: Lookup, *, feature: str | None = None, kind: ReviewKind | None = None
) -> tuple[ReviewGroup, ...]:
    """Open reviews in groups, the largest first; of the newest 500. Late traces are linked first."""
    settle(records, lookup)
    found: dict[tuple[str, ReviewKind], list[ReviewRow]] = {}
    for review in records.reviews.list(feature=feature, kind=kind, limit=MOST_SHOWN).data:
        found.setdefault((review.feature, review.kind), []).append(review)
    groups = [
        ReviewGroup(owner, what, title(alike[0]), tuple(alike))
        for (owner, what), reviews in found.items()
        for alike in grouped((review, review.subject.get("input")) for review in reviews)
    ]
    return tuple(sorted(groups, key=lambda group: -len(group.reviews)))


def title(review: ReviewRow) -> str:
    return (
        text_of(review.subject["input"]) if "input" in review.subject else "(its trace has not arrived yet)"
    )


def seen(review: ReviewRow) -> dict[str, Any]:
    """The subject as a reviewer may see it: who gave which answer stays hidden until the preference is told."""
    blind = review.kind == "preference" and review.status == "open"
    return {key: value for key, value in review.subject.items() if not (blind and key == "pair")}


def resolve(
    records: Records,
    settings: Settings,
    review_id: str,
    choice: str,
    reviewer: str,
    *,
    correction: Any = None,
    consent: Consent | None = None,
    comment: str | None = None,
) -> Resolved:
    """Say what is true of a review: a Score by this person, and with ``correction`` a case that must pass from now on.

    A review that another person has resolved takes a second opinion: a Score and nothing else.

    Raises:
        UsageError: for an unknown choice, a correction without consent.
        ReviewClosed: for a correction of a closed review, and one closed by the same person.
        Error: why the correction cannot become a case; then nothing is closed.
    """
    review = records.reviews.get(review_id)
    said = next((known for known in choices(review.kind) if known.word == choice), None)
    if said is None:
        words = ", ".join(known.word for known in choices(review.kind))
        raise UsageError(f"a {review.kind} cannot be resolved as {choice!r}", hint=f"Say one of: {words}.")
    if review.status == "resolved" and review.reviewer != reviewer and correction is None:
        records.scores.add(_scores(review, said, reviewer, comment))
        return Resolved(review, choice, second=True)
    if review.status != "open":
        raise ReviewClosed(review)
    if review.kind == "escalation" and (choice == "answered") != (correction is not None):
        raise UsageError(
            "who asked waits for an answer",
            hint="answered --correction ANSWER; or declined, without one.",
        )
    case: AddedCase | None = None

    def worked() -> dict[str, Any]:
        nonlocal case
        # an answer to somebody is one without becoming a case
        plain = correction is None or (review.kind == "escalation" and consent is None)
        case = None if plain else _case(settings, review, said, correction, consent)
        resolution: dict[str, Any] = {
            "choice": choice,
            "comment": comment,
            "correction": correction,
            "consent": consent,
            "case": case.case.id if case else None,
            "file": str(case.file) if case else None,
        }
        return {key: value for key, value in resolution.items() if value is not None}

    closed = records.reviews.close(review.id, "resolved", worked, reviewer)
    if review.kind == "escalation":
        return Resolved(closed, choice, case)
    records.scores.add(_scores(closed, said, reviewer, comment))
    return Resolved(closed, choice, case)


def ask_labels(
    records: Records, telemetry: TraceReader, feature: str | None = None, *, limit: int = 50
) -> tuple[ReviewRow, ...]:
    """Open a ``label`` review for ``limit`` traces, drawn by hash from the newest that nobody was asked about."""
    waiting: list[ReviewRow] = []
    drawn = sorted(
        (row.trace_id for row in telemetry.traces(TraceFilter(feature=feature), limit=DRAWN_FROM).data),
        key=lambda trace_id: digest_of(trace_id, "label"),
    )
    for trace_id in drawn:
        if len(waiting) == limit:
            break
        if records.reviews.list(None, trace_id=trace_id, limit=1).data:
            continue
        told = exchange(telemetry.trace(trace_id))
        if told is not None and told.value is not None:
            waiting.append(
                records.reviews.open("label", subject_of(told), feature=told.feature, trace_id=trace_id)
            )
    return tuple(waiting)


def dismiss(records: Records, review_id: str, reviewer: str, reason: str | None = None) -> ReviewRow:
    """Close it without a word on the answer.

    Raises:
        ReviewClosed: when it is closed already.
    """
    review = records.reviews.get(review_id)
    return records.reviews.close(review.id, "dismissed", {"comment": reason} if reason else {}, reviewer)


def _case(
    settings: Settings, review: ReviewRow, said: Choice, correction: Any, consent: Consent | None
) -> AddedCase | None:
    """None before there is a contract: the correction waits in the review until one is drafted."""
    if review.kind == "preference" or (said.value is None and review.kind != "escalation"):
        raise UsageError(
            f"{said.word!r} and a correction contradict each other", hint="Leave the correction out."
        )
    if not review.feature:
        return None
    if consent is None:
        raise UsageError(
            "a correction becomes a case in a file: say on what consent",
            hint="--consent given (the user agreed), or --consent not_needed (nothing in it is about a person)",
        )
    return add_case(
        settings,
        review.feature,
        value=review.subject.get("input"),
        correction=correction,
        source=f"trace:{review.trace_id}"
        if review.trace_id
        else str(review.subject.get("source", review.id)),
        consent=consent,
        tags=(review.kind,),
    )


def _scores(review: ReviewRow, said: Choice, reviewer: str, comment: str | None) -> list[ScoreRow]:
    """For a preference from the candidate's point of view: 1 where it was preferred, whichever side it stood on."""
    name, variant, value = (
        str(review.subject.get("check") or CORRECT),
        str(review.subject.get("variant") or ""),
        said.value,
    )
    if review.kind == "preference":
        pair = review.subject["pair"]
        name, variant = score_name(pair["baseline"]), pair["candidate"]
        if pair["left"] != variant and value is not None:
            value = 1.0 - value
    # what a score is of: a case of a run has no trace, so its review stands for it
    subject = review.trace_id or review.id
    score = Score(name, value, said.word, comment, source="human")
    return [
        ScoreRow(
            trace_id=subject,
            feature=review.feature,
            variant=variant,
            score=score,
            author=reviewer,
            created_at=time.time(),
        )
    ]
