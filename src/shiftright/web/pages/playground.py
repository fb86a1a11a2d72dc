"""A feature called by hand: any variant, any input, or that of a trace. What is tried here is no traffic."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from shiftright import spec as specs
from shiftright.core.spec import Spec
from shiftright.core.text import written
from shiftright.errors import Error, UsageError
from shiftright.evals.single import SingleRun, run_one
from shiftright.spec.discovery import discover
from shiftright.web import rendering
from shiftright.web.api.features import contract
from shiftright.web.api.traces import Text, root_of
from shiftright.web.conversation import turns
from shiftright.web.forms import Form, form
from shiftright.web.site import Site


def router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/playground", include_in_schema=False)
    filled = Depends(form(site))

    @router.get("")
    def ask(request: Request, feature: Text = None, variant: Text = None, trace: Text = None) -> Response:
        value = ""
        if trace:
            spans = site.telemetry.trace(trace)
            if not spans:
                raise UsageError(f"there is no trace {trace[:80]!r}", hint="Choose one under /traces.")
            value, feature = (
                root_of(spans).input,
                feature or next((s.feature for s in spans if s.feature), ""),
            )
        return _page(site, request, feature or "", variant or "", value, source=trace)

    @router.post("")
    def call(request: Request, sent: Form = filled) -> Response:
        feature, variant = contract(site, sent.required("feature")).feature, sent.text("variant")
        typed = sent.text("input")
        try:
            run = asyncio.run(
                run_one(feature, site.settings, site.records, variant=variant or None, value=written(typed))
            )
        except Error as error:
            return _page(site, request, feature, variant, typed, problem=error, status=400)
        return _page(site, request, feature, run.variant, typed, run=run)

    return router


def _page(
    site: Site,
    request: Request,
    feature: str,
    variant: str,
    typed: str,
    *,
    run: SingleRun | None = None,
    problem: Error | None = None,
    source: str | None = None,
    status: int = 200,
) -> Response:
    contracts = _specs(site)
    chosen = next(
        (spec for spec in contracts if spec.feature == feature), contracts[0] if contracts else None
    )
    prompts = [turns(_text(prompt)) for prompt in run.prompts] if run else []
    return rendering.page(
        site,
        request,
        "playground.html",
        status=status,
        contracts=contracts,
        chosen=chosen,
        variant=variant,
        typed=typed,
        run=run,
        prompts=prompts,
        problem=problem,
        source=source,
    )


def _text(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else msgspec.json.encode(prompt).decode()


def _specs(site: Site) -> list[Spec]:
    """Contracts that can be read; the overview tells of the others."""
    found = []
    for path in discover(site.settings.root):
        try:
            found.append(specs.load(path))
        except Error:
            continue
    return found
