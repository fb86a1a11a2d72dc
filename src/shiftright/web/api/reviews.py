"""``/api/reviews``: a person's work, listed and done."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Response

from shiftright.errors import UsageError
from shiftright.improve import reviews
from shiftright.improve.cases import Consent
from shiftright.store.rows import ReviewKind, ReviewRow, ReviewStatus
from shiftright.web.api.described import answer, answers, content_of
from shiftright.web.api.feedback import Body
from shiftright.web.api.traces import Cursor, Limit, Text
from shiftright.web.problems import NotFound
from shiftright.web.site import Site

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Reviews(msgspec.Struct):
    """Newest first. Of a blind preference the sides' names are left out until it is told."""

    data: list[ReviewRow]
    next_cursor: str | None


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """What is true of a review: one of the choices of its kind, by whom, and what would have been right.

    ``choice``: ``real``, ``judge_wrong``, ``case_wrong``; of a ``label`` ``good``, ``bad``, ``unclear``; of a
    ``preference`` ``left``, ``right``, ``tie``; of an ``escalation`` ``answered`` (with the answer as correction),
    ``declined``; of all ``dismiss``. A correction needs ``consent`` to become a case.
    """

    choice: _Name
    reviewer: _Name
    correction: Any = None
    consent: Consent | None = None
    comment: Annotated[str, msgspec.Meta(max_length=20_000)] | None = None


class NewCase(msgspec.Struct):
    """A case in ``file`` (``added`` is False where it was there); ``edit`` is what was changed in the contract."""

    id: str
    file: str
    added: bool
    edit: str | None


class Closed(msgspec.Struct):
    """The review as it is now; ``case`` is what was added to ``must``."""

    review: ReviewRow
    case: NewCase | None = None


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/reviews", tags=["reviews"])

    @router.get("", responses=answers(Reviews), response_class=Response)
    def list_reviews(
        status: ReviewStatus = "open",
        feature: Text = None,
        kind: ReviewKind | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response:
        """The newest first."""
        page = site.records.reviews.list(
            status, feature=feature or None, kind=kind, limit=limit, cursor=cursor or None
        )
        return answer(Reviews([_shown(review) for review in page.data], page.next_cursor))

    @router.get("/{review_id}", responses=answers(ReviewRow, 404), response_class=Response)
    def get_review(review_id: str) -> Response:
        """One review."""
        return answer(_shown(review(site, review_id)))

    @router.post(
        "/{review_id}",
        responses=answers(Closed, 404, 409, 413),
        response_class=Response,
        openapi_extra={"requestBody": {"required": True, "content": content_of(Said)}},
    )
    def resolve(review_id: str, sent: Body) -> Response:
        """Say what is true of it: a human score, and with a correction a case that must pass from now on."""
        said = _read(sent)
        found = review(site, review_id)
        if said.choice == "dismiss":
            return answer(Closed(reviews.dismiss(site.records, found.id, said.reviewer, said.comment)))
        done = reviews.resolve(
            site.records,
            site.settings,
            found.id,
            said.choice,
            said.reviewer,
            correction=said.correction,
            consent=said.consent,
            comment=said.comment,
        )
        added = done.case
        case = None if added is None else NewCase(added.case.id, str(added.file), added.added, added.edit)
        return answer(Closed(done.review, case))

    return router


def review(site: Site, review_id: str) -> ReviewRow:
    """
    Raises:
        NotFound: for an unknown one.
    """
    try:
        return site.records.reviews.get(review_id)
    except UsageError as error:
        raise NotFound(error.message, hint=error.hint) from error


def _shown(row: ReviewRow) -> ReviewRow:
    return msgspec.structs.replace(row, subject=reviews.seen(row))


def _read(sent: bytes) -> Said:
    try:
        return msgspec.json.decode(sent, type=Said)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as cause:
        raise UsageError(
            f"the body cannot be read: {cause}", hint='Send {"choice": "real", "reviewer": "NAME"}.'
        ) from None
