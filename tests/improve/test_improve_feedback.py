"""From a user's thumb to a review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from traces import chat_span, feature_span, trace_id

from shiftright.errors import UsageError
from shiftright.improve import tokens
from shiftright.improve.feedback import Given, read, settle, take
from shiftright.improve.reviews import queue
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.tracing.exchange import exchange
from shiftright.tracing.redaction import Redaction

T1 = trace_id(1)
SPANS = {
    T1: (feature_span(1, "I cannot find my debit thing", {"queue": "other"}, variant="rules", user="u7"),)
}


def lookup(trace: str) -> tuple[Any, ...]:
    return SPANS.get(trace, ())


def test_a_complaint_opens_a_review_and_the_next_one_joins_it(records: Records) -> None:
    first = take(records, lookup, Given(trace_id=T1, value=False))
    take(records, lookup, Given(trace_id=T1, value=0.2, comment="wrong queue"))
    take(records, lookup, Given(trace_id=T1, name="stars", value=1.0))
    assert first.feature == "triage"
    (review,) = records.reviews.list().data
    assert (review.kind, review.feature, review.subject["input"]) == (
        "complaint",
        "triage",
        "I cannot find my debit thing",
    )
    assert len(review.subject["feedback"]) == 2
    assert len(records.feedback.of_trace(T1)) == 3


def test_praise_opens_nothing_and_a_correction_always_does(records: Records) -> None:
    take(records, lookup, Given(trace_id=T1, value=True))
    assert records.reviews.list().data == ()
    take(records, lookup, Given(trace_id=T1, value=True, correction={"queue": "card"}))
    assert len(records.reviews.list().data) == 1


def test_sent_twice_it_counts_once_even_after_the_review_is_closed(records: Records) -> None:
    given = Given(trace_id=T1, value=0, idempotency_key="k1")
    first = take(records, lookup, given)
    (review,) = records.reviews.list().data
    records.reviews.close(review.id, "dismissed", {}, "ann")
    assert take(records, lookup, given) == first
    assert records.reviews.list().data == ()
    other = trace_id(2)
    assert take(records, lookup, Given(trace_id=other, value=0, idempotency_key="k1")).trace_id == other


def test_what_a_user_wrote_is_redacted_as_traces_are(records: Records) -> None:
    said = Given(
        trace_id=T1,
        value=0,
        comment="write to ann@example.com",
        correction={"to": "ann@example.com", "api_key": "sk-live-0123456789abcdef0123456789"},
        user="ann@example.com",
    )
    stored = take(records, lookup, said, Redaction(["email"], b"key"))
    assert "ann@" not in json.dumps([stored.comment, stored.correction, stored.user])
    assert stored.user == Redaction(["email"], b"key").who("ann@example.com"), (
        "as the spans of that user say it"
    )
    assert "0123456789abcdef" not in json.dumps(records.feedback.of_trace(T1)[0].correction)
    plain = take(records, lookup, Given(trace_id=T1, value=0, correction=[1, None, "a"]))
    assert plain.correction == [1, None, "a"]


def test_feedback_may_come_before_its_trace(records: Records) -> None:
    late = trace_id(9)
    take(records, lookup, Given(trace_id=late, value=0))
    assert queue(records, lookup)[0].title == "(its trace has not arrived yet)"
    there = {late: (feature_span(9, "hello", {"queue": "other"}),)}
    assert settle(records, lambda trace: there.get(trace, ())) == 1
    (review,) = records.reviews.list(feature="triage").data
    assert review.subject["output"] == {"queue": "other"}
    assert records.feedback.list("triage").data[0].trace_id == late
    assert settle(records, lambda trace: there.get(trace, ())) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"trace_id": "x", "value": 1}',
        json.dumps({"trace_id": T1}).encode(),
        json.dumps({"trace_id": T1, "value": 2}).encode(),
        json.dumps({"trace_id": T1, "value": 1, "admin": True}).encode(),
        json.dumps({"trace_id": T1, "comment": "x" * 30_000}).encode(),
        b'{"trace_id": "' + T1.encode() + b'", "correction": ' + b"[" * 50_000,
        b" " * 200_000,
    ],
)
def test_what_is_no_feedback_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        read(body)
    assert "trace_id" in (caught.value.hint or "")


def test_a_token_opens_its_trace_and_no_other(settings: Settings, tmp_path: Path) -> None:
    key = tokens.secret(settings)
    assert key == tokens.secret(settings), "it stays the same over restarts"
    assert (settings.home / tokens.FILE).stat().st_mode & 0o077 == 0
    mine = tokens.token(key, T1)
    assert tokens.fits(key, T1, mine)
    assert not tokens.fits(key, trace_id(2), mine)
    assert not tokens.fits(key, T1, None)
    assert not tokens.fits(key, T1, "ü")
    with_key = Settings.load(tmp_path, env={"SHIFTRIGHT_KEY": "s3cret"})
    elsewhere = Settings.load(
        tmp_path, env={"SHIFTRIGHT_KEY": "s3cret", "SHIFTRIGHT_HOME": str(tmp_path / "b")}
    )
    assert tokens.secret(with_key) == tokens.secret(elsewhere) != key


def test_an_exchange_reads_chats_of_every_shape() -> None:
    system = {"role": "system", "content": "Be short."}
    plain = exchange(
        [chat_span(1, [system, {"role": "user", "content": "hi"}], {"role": "assistant", "content": "ho"})]
    )
    assert plain is not None
    assert (plain.value, plain.system, plain.output) == ("hi", "Be short.", "ho")
    parts = exchange(
        [
            chat_span(
                2,
                [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
                [{"role": "assistant", "parts": [{"type": "text", "content": '{"queue": "card"}'}]}],
            )
        ]
    )
    assert parts is not None
    assert (parts.value, parts.output) == ("hi", {"queue": "card"})
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    talk = exchange([chat_span(3, {"messages": turns}, "text", cost_usd=None)])
    assert talk is not None
    assert (talk.value, talk.output, talk.cost_usd) == (turns, "text", None)
    tool = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
    called = exchange([chat_span(4, turns, tool)])
    assert called is not None
    assert called.output == tool
    assert exchange([]) is None


def test_the_queue_groups_what_is_alike(records: Records) -> None:
    texts = ["my order 17 has not come", "My order 23 has not come!", "how do I close my account"]
    there = {trace_id(i): (feature_span(i, text, {"queue": "other"}),) for i, text in enumerate(texts, 20)}
    for trace in there:
        take(records, lambda wanted: there.get(wanted, ()), Given(trace_id=trace, value=0))
    groups = queue(records, lambda wanted: there.get(wanted, ()))
    assert [len(group.reviews) for group in groups] == [2, 1]
    assert groups[0].title == texts[1]
