"""The pages, one file each."""

from __future__ import annotations

from fastapi import APIRouter

from shiftright.web.pages import costs, feature, inbox, login, overview, playground, runs, traces
from shiftright.web.site import Site

__all__ = ["routers"]


def routers(site: Site) -> tuple[APIRouter, ...]:
    parts = (login, overview, traces, feature, inbox, runs, costs, playground)
    return tuple(part.router(site) for part in parts)
