"""``GET /v1/escalations/ID``: what a person answered, once there is an answer."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from shiftright.errors import UsageError
from shiftright.gateway.access import OWNER, Caller
from shiftright.gateway.fallbacks import POLL
from shiftright.gateway.refusal import Refusal
from shiftright.store import Records
from shiftright.store.rows import ReviewRow

_ASK_AGAIN_S = "30"


def answered(path: str, caller: Caller, records: Records) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body: 200 with the answer, 202 as long as there is none. Blocks on the records.

    Raises:
        Refusal: 404 where there is none, and where another key asked.
    """
    review = _review(path.removeprefix(POLL), caller, records)
    body: dict[str, Any] = {"status": status(review), "review": review.id, "due_at": review.due_at}
    headers = [("content-type", "application/json")]
    if review.status == "open":
        return 202, [*headers, ("retry-after", _ASK_AGAIN_S)], msgspec.json.encode(body)
    if review.status == "resolved":
        body["output"] = (review.resolution or {}).get("correction")
    body["answered_at"] = review.resolved_at
    return 200, headers, msgspec.json.encode(body)


def status(review: ReviewRow) -> str:
    """``open``, ``overdue``, ``answered``, or ``declined``: nobody will."""
    if review.status == "open":
        return "overdue" if review.due_at is not None and review.due_at < time.time() else "open"
    answer = (review.resolution or {}).get("correction")
    return "answered" if review.status == "resolved" and answer is not None else "declined"


def _review(review_id: str, caller: Caller, records: Records) -> ReviewRow:
    unknown = Refusal(404, "not_found", f"there is no escalation {review_id[:100]!r}")
    try:
        review = records.reviews.get(review_id)
    except UsageError:
        raise unknown from None
    mine = caller is OWNER or review.subject.get("key", "") == caller.name
    # the whole id: what only begins like one is nobody's
    if review.kind != "escalation" or review.id != review_id or not mine:
        raise unknown
    return review
