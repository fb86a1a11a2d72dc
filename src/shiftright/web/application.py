"""The control plane as one ASGI application: REST API, pages, and what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shiftright.web.site import Site

if TYPE_CHECKING:
    from fastapi import FastAPI

LARGEST_BODY = 2_000_000
"""Bytes of a request: a correction or an input typed by a person, with room to spare."""


def application(site: Site) -> FastAPI:
    """The API under ``/api``, feedback under ``/v1/feedback``, ``/healthz``, ``/metrics``, and the pages.

    Every endpoint is a plain function run on a thread, so that no store call blocks the event loop.
    """
    from fastapi import FastAPI

    from shiftright.web import api, pages, static
    from shiftright.web.api import described
    from shiftright.web.problems import handlers
    from shiftright.web.protection import Protection

    app = FastAPI(
        title="shiftright",
        summary="Traces, features, runs and reviews of one project.",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        exception_handlers=handlers(site),
        max_body_size=LARGEST_BODY,
        redirect_slashes=False,
        responses=described.refused(*described.EVERYWHERE),
    )
    for router in (*api.routers(site), static.router(), *pages.routers(site)):
        app.include_router(router)
    described.install(app)
    app.add_middleware(Protection, site=site)
    return app
