from __future__ import annotations

import msgspec
import pytest

from shiftright.errors import UsageError
from shiftright.store import Records
from shiftright.store.rows import FeedbackRow


def given(trace: str = "t1", **more: object) -> FeedbackRow:
    return FeedbackRow(trace_id=trace, name="thumbs", created_at=1.0, **more)  # type: ignore[arg-type]


def test_what_is_stored_is_what_was_given(records: Records) -> None:
    row = given(
        value=0.0, comment="falsch – Karte", correction={"queue": "card"}, user="u1", feature="triage"
    )
    stored = records.feedback.add(row)
    assert msgspec.structs.replace(stored, id="") == row
    assert records.feedback.of_trace("t1") == (stored,)


def test_the_same_key_is_stored_once(records: Records) -> None:
    first = records.feedback.add(given(value=0.0, idempotency_key="k"))
    again = records.feedback.add(given(value=1.0, idempotency_key="k"))
    assert again == first
    assert len(records.feedback.list().data) == 1
    assert records.feedback.add(given()) != records.feedback.add(given()), "without a key nothing is joined"


def test_pages_are_newest_first_and_complete(records: Records) -> None:
    stored = [records.feedback.add(given(value=i / 10, feature="a" if i % 2 else "b")) for i in range(7)]
    seen, cursor = [], None
    while True:
        page = records.feedback.list(limit=3, cursor=cursor)
        seen += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == stored[::-1]
    assert [row.value for row in records.feedback.list("a").data] == [0.5, 0.3, 0.1]


def test_feedback_that_came_before_its_trace_is_linked_later(records: Records) -> None:
    records.feedback.add(given("early"))
    assert records.feedback.unlinked() == ("early",)
    records.feedback.link("early", "triage")
    assert records.feedback.unlinked() == ()
    assert records.feedback.of_trace("early")[0].feature == "triage"


def test_a_later_complaint_joins_the_open_review_of_its_trace(records: Records) -> None:
    first = records.reviews.open("complaint", {"feedback": ["f1"], "input": "x"}, feature="a", trace_id="t")
    joined = records.reviews.open("complaint", {"feedback": ["f2"], "input": "y"}, feature="a", trace_id="t")
    assert joined.id == first.id
    assert joined.subject == {"feedback": ["f1", "f2"], "input": "x"}
    assert records.reviews.get(first.id) == joined
    other = records.reviews.open("low_score", {}, feature="a", trace_id="t")
    assert other.id > first.id
    assert records.reviews.counts() == {("a", "complaint", "open"): 1, ("a", "low_score", "open"): 1}


def test_a_review_is_closed_once(records: Records) -> None:
    review = records.reviews.open("label", {}, feature="a", trace_id="t")
    closed = records.reviews.close(review.id, "resolved", {"label": "real"}, "ann")
    assert (closed.status, closed.reviewer, closed.resolution) == ("resolved", "ann", {"label": "real"})
    with pytest.raises(UsageError, match="resolved by ann"):
        records.reviews.close(review.id, "dismissed", {}, "bob")
    assert records.reviews.list().data == ()
    assert records.reviews.list(None).data == (closed,)
    again = records.reviews.open("label", {}, trace_id="t")
    assert again.id != review.id, "a closed review is not joined"


def test_reviews_by_page_and_by_the_beginning_of_an_id(records: Records) -> None:
    opened = [records.reviews.open("label", {"n": i}, feature="a") for i in range(5)]
    page = records.reviews.list(limit=3)
    rest = records.reviews.list(limit=3, cursor=page.next_cursor)
    assert [*page.data, *rest.data] == opened[::-1]
    assert rest.next_cursor is None
    assert records.reviews.get(opened[2].id[:-1]) == opened[2]
    with pytest.raises(UsageError, match="several"):
        records.reviews.get("v-")
    with pytest.raises(UsageError, match="there is no review"):
        records.reviews.get("%")
