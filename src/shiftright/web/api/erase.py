"""``POST /api/erase``: one trace, user or session forgotten."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
from fastapi import APIRouter, Response

from shiftright.core.trace import Erasable
from shiftright.errors import UsageError
from shiftright.monitor.erasing import Erased, erase
from shiftright.web.api.described import answer, answers, content_of
from shiftright.web.api.feedback import Body
from shiftright.web.site import Site

_WRITTEN_S = 2.0


class Forget(msgspec.Struct, forbid_unknown_fields=True):
    """``what`` is forgotten, by its id or name."""

    what: Erasable
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/erase", tags=["traces"])

    @router.post(
        "",
        responses=answers(Erased, 413),
        response_class=Response,
        openapi_extra={"requestBody": {"required": True, "content": content_of(Forget)}},
    )
    def forget(sent: Body) -> Response:
        """Spans go, and with them the texts of feedback, reviews and scores about them. There is no way back."""
        try:
            asked = msgspec.json.decode(sent, type=Forget)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as cause:
            hint = 'Send {"what": "user", "name": "…"}; also session, trace.'
            raise UsageError(f"the body cannot be read: {cause}", hint=hint) from None
        until = time.monotonic() + _WRITTEN_S
        while site.intake.queued and time.monotonic() < until:
            time.sleep(0.01)  # what was answered before this request is to be forgotten too
        names = (asked.name,) if asked.what == "trace" else (asked.name, site.redaction.who(asked.name))
        return answer(erase(site.telemetry, site.records, asked.what, names))

    return router
