"""What people wrote into records: comments, corrections, inputs and outputs in reviews, explanations of judges.

Answers that a diff got for a trace's input are such texts, too. A feature's traces are kept as long as its contract
says, and a user's until the user is forgotten. These texts go with them. What was decided stays: values, choices, names
of cases, who reviewed and when.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from shiftright.store import schema
from shiftright.store.codec import decode_object, encode
from shiftright.store.database import Database

FORGOTTEN = "forgotten"
_MARK = f'{{"{FORGOTTEN}":true'
_STAYS = ("check", "variant", "pair", "source", "feedback", "rollout", "release", "group")
_SAID_STAYS = ("choice", "consent", "case", "file")
_AT_ONCE = 500

_feedback, _reviews, _scores = schema.feedback.c, schema.reviews.c, schema.scores.c
_answers = schema.answers.c
OF_TRACE = "trace:"
"""Begins the id of a case that is a trace's input."""


class Forgotten(msgspec.Struct, frozen=True):
    """How many rows lost their texts; of ``reviews`` those that were open are dismissed: nothing is left to see.
    ``answers`` to inputs of traces are gone whole."""

    feedback: int = 0
    reviews: int = 0
    scores: int = 0
    answers: int = 0

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(
            self.feedback + other.feedback,
            self.reviews + other.reviews,
            self.scores + other.scores,
            self.answers + other.answers,
        )

    def __bool__(self) -> bool:
        return bool(self.feedback or self.reviews or self.scores or self.answers)


class Texts:
    """Forgets them, each call in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def forget_before(
        self, before: float, feature: str | None = None, *, but: Sequence[str] = ()
    ) -> Forgotten:
        """Of feedback, reviews and scores of traffic made before (seconds since 1970), of one feature where named, else
        of all ``but`` some.

        Reviews of cases of runs are about cases in files, incidents about figures: they stay.
        """
        of = (
            _feedback.created_at < before,
            (_reviews.created_at < before) & ((_reviews.trace_id != "") | (_reviews.kind == "preference")),
            _scores.created_at < before,
            _answers.case_id.startswith(OF_TRACE) & (_answers.created_at < before),
        )
        columns = (_feedback.feature, _reviews.feature, _scores.feature, _answers.feature)
        if feature is not None:
            of = (
                of[0] & (columns[0] == feature),
                of[1] & (columns[1] == feature),
                of[2] & (columns[2] == feature),
                of[3] & (columns[3] == feature),
            )
        elif but:
            of = (
                of[0] & columns[0].not_in(but),
                of[1] & columns[1].not_in(but),
                of[2] & columns[2].not_in(but),
                of[3] & columns[3].not_in(but),
            )
        return self._forget(*of)

    def forget_traces(self, traces: Iterable[str]) -> Forgotten:
        """Of everything that is about these traces."""
        total = Forgotten()
        ids = list(traces)
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            pairs = [_reviews.subject.contains(trace_id, autoescape=True) for trace_id in some]
            about = _reviews.trace_id.in_(some) | ((_reviews.kind == "preference") & sa.or_(*pairs))
            answered = _answers.case_id.in_([OF_TRACE + trace_id for trace_id in some])
            total += self._forget(_feedback.trace_id.in_(some), about, _scores.trace_id.in_(some), answered)
        return total

    def forget_user(self, users: Iterable[str]) -> Forgotten:
        """Of the feedback that these users gave, whosever trace it was about."""
        return self._forget(_feedback.user.in_(list(users)), sa.false(), sa.false(), sa.false())

    def _forget(
        self,
        feedback: sa.ColumnElement[bool],
        reviews: sa.ColumnElement[bool],
        scores: sa.ColumnElement[bool],
        answers: sa.ColumnElement[bool],
    ) -> Forgotten:
        written = (
            _feedback.comment.is_not(None) | _feedback.correction.is_not(None) | _feedback.user.is_not(None)
        )
        explained = _scores.explanation.is_not(None) | (
            _scores.failure.is_not(None) & (_scores.failure != FORGOTTEN)
        )
        failure = sa.case((_scores.failure.is_(None), None), else_=FORGOTTEN)
        with self._database.write() as connection:
            told = connection.execute(
                sa.update(schema.feedback)
                .where(feedback, written)
                .values(comment=None, correction=None, user=None)
            ).rowcount
            scored = connection.execute(
                sa.update(schema.scores).where(scores, explained).values(explanation=None, failure=failure)
            ).rowcount
            whole = sa.select(schema.reviews).where(reviews, ~_reviews.subject.startswith(_MARK))
            rows = connection.execute(whole).all()
            for row in rows:
                where = _reviews.id == row.id
                connection.execute(sa.update(schema.reviews).where(where).values(_without_texts(row)))
            answered = connection.execute(sa.delete(schema.answers).where(answers)).rowcount
        return Forgotten(told, len(rows), scored, answered)


def _without_texts(row: sa.Row[Any]) -> dict[str, Any]:
    subject = decode_object(row.subject)
    kept = {FORGOTTEN: True} | {name: subject[name] for name in _STAYS if name in subject}
    values: dict[str, Any] = {"subject": encode(kept)}
    if row.resolution is not None:
        said = decode_object(row.resolution)
        values["resolution"] = encode({name: said[name] for name in _SAID_STAYS if name in said})
    if row.status == "open":
        values |= {
            "status": "dismissed",
            "resolution": encode({}),
            "reviewer": "retention",
            "resolved_at": time.time(),
        }
    return values
