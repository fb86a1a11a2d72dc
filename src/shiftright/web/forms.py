"""What a page's form sends: read within limits, and only with the token that the page was given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote, unquote

import msgspec
from fastapi import Request, Response
from starlette.datastructures import UploadFile

from shiftright.errors import UsageError
from shiftright.web.sessions import equal, form_token
from shiftright.web.site import Site

FIELD = "token"
REVIEWER_COOKIE = "shiftright_reviewer"
NOBODY = "reviewer"
YEAR_S = 365 * 24 * 3600
MOST_FIELDS = 50


class Form(msgspec.Struct, frozen=True):
    """Fields by name; each is text."""

    fields: dict[str, str]

    def text(self, name: str, default: str = "") -> str:
        return self.fields.get(name, default)

    def required(self, name: str) -> str:
        """
        Raises:
            UsageError: when it is missing or empty.
        """
        value = self.fields.get(name, "")
        if not value.strip():
            raise UsageError(f"{name} is empty", hint="Fill it in and send the form again.")
        return value


def form(site: Site) -> Callable[[Request], Awaitable[Form]]:
    """The dependency of every POST of a page.

    Raises:
        UsageError: when the token is missing or old, or a field is a file.
    """

    async def read(request: Request) -> Form:
        async with request.form(max_files=0, max_fields=MOST_FIELDS) as sent:
            fields = {name: value for name, value in sent.items() if not isinstance(value, UploadFile)}
        given = fields.pop(FIELD, "") or request.headers.get("x-form-token", "")
        if not equal(given, form_token(site, request.headers)):
            raise UsageError(
                "this form is not from a page of this server, or from one that was opened long ago",
                hint="Load the page again and repeat.",
            )
        return Form(fields)

    return read


def reviewer_of(request: Request) -> str:
    """The name that this browser gave last; empty where it gave none."""
    return unquote(request.cookies.get(REVIEWER_COOKIE, ""))


def remember_reviewer(answer: Response, sent: Form) -> None:
    if (name := reviewer_in(sent)) != NOBODY:
        answer.set_cookie(REVIEWER_COOKIE, quote(name), max_age=YEAR_S, httponly=True, samesite="strict")


def reviewer_in(sent: Form) -> str:
    """Who says it."""
    return sent.text("reviewer").strip()[:200] or NOBODY
