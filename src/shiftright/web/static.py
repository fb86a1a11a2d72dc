"""Scripts, styles and the icon: the files that are shipped, under names nobody can climb out of."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

_KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


WIDGET = "feedback.js"
"""The one file that pages of other sites load."""


class Asset(NamedTuple):
    body: bytes
    kind: str
    version: str


@cache
def assets() -> dict[str, Asset]:
    """Every shipped file by name."""
    report = files("shiftright.evals.report")
    bodies = {file.name: file.read_bytes() for file in (files("shiftright.web") / "static").iterdir()}
    # the report of a run stands in a page of ours: its script, and one set of colours for both
    bodies["report.js"] = (report / "report.js").read_bytes()
    bodies["app.css"] = (report / "report.css").read_bytes() + bodies["app.css"]
    return {
        name: Asset(body, _KINDS[name.rpartition(".")[2]], hashlib.sha256(body).hexdigest()[:12])
        for name, body in bodies.items()
    }


def address(name: str) -> str:
    """Where a page finds an asset: another content has another address, so browsers may keep it for ever."""
    return f"/static/{name}?v={assets()[name].version}"


def router() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{name}")
    def static(name: str, request: Request) -> Response:
        asset = assets().get(name)
        if asset is None:
            raise HTTPException(404, "there is no such file")
        kept = request.query_params.get("v") == asset.version
        age = "public, max-age=31536000, immutable" if kept else "public, max-age=300"
        headers = {"cache-control": age}
        if name == WIDGET:
            headers["cross-origin-resource-policy"] = "cross-origin"
        return Response(asset.body, media_type=asset.kind, headers=headers)

    return router
