"""``/api/export``: every span as JSON lines, batch by batch: neither memory nor the writer is held up by it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from shiftright.web.api.described import whole
from shiftright.web.api.traces import Wanted
from shiftright.web.site import Site


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/export", tags=["traces"])

    @router.get("", response_class=StreamingResponse)
    def export(where: Wanted) -> StreamingResponse:
        """The spans of all matching traces, one JSON object a line, newest trace first."""
        return StreamingResponse(_lines(site, where), media_type="application/x-ndjson")

    return router


def _lines(site: Site, where: Wanted) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    for spans in site.telemetry.spans(where):
        yield encoder.encode_lines([whole(span) for span in spans])
