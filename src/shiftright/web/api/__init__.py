"""The REST API, one file per noun."""

from __future__ import annotations

from fastapi import APIRouter

from shiftright.web.api import (
    costs,
    erase,
    export,
    features,
    feedback,
    health,
    incidents,
    reviews,
    runs,
    traces,
)
from shiftright.web.site import Site

__all__ = ["routers"]


def routers(site: Site) -> tuple[APIRouter, ...]:
    return tuple(
        part.router(site)
        for part in (health, traces, features, runs, costs, export, reviews, incidents, feedback, erase)
    )
