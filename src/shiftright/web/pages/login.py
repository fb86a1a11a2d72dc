"""The key, asked for once a day."""

from __future__ import annotations

import math

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from shiftright.web import rendering
from shiftright.web.attempts import Attempts
from shiftright.web.forms import Form, form
from shiftright.web.problems import refuse
from shiftright.web.sessions import COOKIE, SESSION_S, equal, new_session
from shiftright.web.site import Site


def router(site: Site) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    filled = Depends(form(site))
    attempts = Attempts()

    @router.get("/login")
    def ask(request: Request) -> Response:
        if site.key is None:
            return RedirectResponse("/", 303)
        return rendering.page(site, request, "login.html", wrong=False)

    @router.post("/login")
    def enter(request: Request, sent: Form = filled) -> Response:
        address = request.client.host if request.client else ""
        if site.key is not None and (wait_s := attempts.wait_s(address)) > 0:
            # the right key too: else the answer would still tell which one it is
            problem = {
                "code": "rate_limit",
                "message": "too many wrong keys were tried",
                "hint": f"Try again in {math.ceil(wait_s / 60)} min.",
            }
            return refuse(site, request, 429, problem, {"retry-after": str(math.ceil(wait_s))})
        if site.key is not None and not equal(sent.text("key").strip(), site.key):
            attempts.failed(address)
            return rendering.page(site, request, "login.html", wrong=True, status=403)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE,
            new_session(site),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/logout")
    def leave(sent: Form = filled) -> Response:
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return router
