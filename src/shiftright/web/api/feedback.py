"""``POST /v1/feedback``: what users say of answers, from programs with the key and from browsers with a token."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from shiftright.core.loopback import hostname, is_loopback
from shiftright.improve import tokens
from shiftright.improve.feedback import LARGEST_BODY, Given, read, take
from shiftright.store.rows import FeedbackRow
from shiftright.web.api.described import Problem, Refused, answer, answers, content_of
from shiftright.web.api.traces import Cursor, Limit, Text, TraceFeedback
from shiftright.web.api.traces import feedback as shown
from shiftright.web.protection import from_own_page
from shiftright.web.sessions import admitted
from shiftright.web.site import Site

# docs/decisions/feedback-tokens.md: no cookie counts here, and the answer holds nothing to read
_FROM_ANYWHERE = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "86400",
    "cross-origin-resource-policy": "cross-origin",
}


class Taken(msgspec.Struct):
    """``id`` of the feedback that is kept; the same one where it was sent before."""

    id: str


class FeedbackItem(TraceFeedback, kw_only=True):
    """A user's signal, and what it is about."""

    trace_id: str
    feature: str


class FeedbackList(msgspec.Struct):
    """Newest first."""

    data: tuple[FeedbackItem, ...]
    next_cursor: str | None


async def body(request: Request) -> bytes:
    """The request's body, as far as it may be long.

    Raises:
        HTTPException: 413.
    """
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > LARGEST_BODY:
            raise HTTPException(413, f"a body here is at most {LARGEST_BODY:,} bytes")
    return bytes(read)


Body = Annotated[bytes, Depends(body)]


def router(site: Site) -> APIRouter:
    router = APIRouter(tags=["feedback"])
    described = {"requestBody": {"required": True, "content": content_of(Given)}}

    @router.post(
        "/v1/feedback",
        responses=answers(Taken, 413),
        response_class=Response,
        openapi_extra=described,
    )
    def give(request: Request, sent: Body) -> Response:
        """Keep what a user says of a trace; a complaint opens a review."""
        given = read(sent)
        if not _may(site, request, given):
            refused = Refused(
                Problem(
                    "credentials",
                    "this feedback shows neither the key nor the trace's token",
                    "Send the key as `Authorization: Bearer KEY`, or `token` from the answer's x-feedback-token.",
                )
            )
            response = answer(refused, 401)
        else:
            response = answer(Taken(take(site.records, site.telemetry.trace, given, site.redaction).id))
        response.headers.update(_FROM_ANYWHERE)
        return response

    @router.options("/v1/feedback", include_in_schema=False)
    def preflight() -> Response:
        return Response(status_code=204, headers=_FROM_ANYWHERE)

    @router.get("/api/feedback", responses=answers(FeedbackList), response_class=Response)
    def list_feedback(
        feature: Text = None, name: Text = None, limit: Limit = 50, cursor: Cursor = None
    ) -> Response:
        """The newest first."""
        page = site.records.feedback.list(
            feature or None, name=name or None, limit=limit, cursor=cursor or None
        )
        return answer(FeedbackList(tuple(_item(row) for row in page.data), page.next_cursor))

    return router


def _may(site: Site, request: Request, given: Given) -> bool:
    """The key, or the token; of a server on loopback without a key, any program."""
    if site.key is None:
        mine = is_loopback(hostname(request.headers.get("host", ""))) and from_own_page(request.headers)
    else:
        mine = admitted(site, request.headers) and from_own_page(request.headers)
    return mine or tokens.fits(tokens.secret(site.settings), given.trace_id, given.token)


def _item(row: FeedbackRow) -> FeedbackItem:
    return FeedbackItem(**msgspec.structs.asdict(shown(row)), trace_id=row.trace_id, feature=row.feature)
