"""The inbox: what waits for a person, one at a time, with one key for each answer."""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import quote, urlencode

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from shiftright.core.score import Score
from shiftright.core.text import written
from shiftright.errors import Error, UsageError
from shiftright.improve import agreement, reviews
from shiftright.improve.feedback import subject_of
from shiftright.store.rows import FeedbackRow, ReviewKind, ReviewRow
from shiftright.tracing.exchange import exchange
from shiftright.web import rendering
from shiftright.web.api.reviews import review
from shiftright.web.api.runs import report
from shiftright.web.api.traces import Text
from shiftright.web.conversation import Share, Turn, turns, window
from shiftright.web.forms import Form, form, remember_reviewer, reviewer_in, reviewer_of
from shiftright.web.problems import status_of
from shiftright.web.site import Site

SAMPLE = 50
"""Traces to label in one sitting; enough for a first contract."""


def router(site: Site) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    filled = Depends(form(site))

    @router.get("/inbox")
    def queue(request: Request, feature: Text = None, kind: ReviewKind | None = None) -> Response:
        return _page(site, request, None, feature or None, kind)

    @router.get("/inbox/{review_id}")
    def one(
        request: Request, review_id: str, feature: Text = None, kind: ReviewKind | None = None
    ) -> Response:
        return _page(site, request, review(site, review_id), feature or None, kind)

    @router.post("/inbox/sample")
    def sample(sent: Form = filled) -> Response:
        feature = sent.required("feature")
        reviews.ask_labels(site.records, site.telemetry, feature, limit=SAMPLE)
        return RedirectResponse(f"/inbox?{urlencode({'feature': feature})}", 303)

    @router.post("/inbox/{review_id}")
    def say(request: Request, review_id: str, sent: Form = filled) -> Response:
        found = review(site, review_id)
        feature, kind = sent.text("feature") or None, _kind(sent)
        try:
            done = _say(site, found, sent)
        except Error as error:
            # as it is now: somebody else may have closed it
            now = review(site, review_id)
            return _page(site, request, now, feature, kind, problem=error, sent=sent.fields)
        query = {
            name: value for name, value in (("feature", feature), ("kind", kind), ("done", done)) if value
        }
        answer = RedirectResponse(f"/inbox?{urlencode(query)}", 303)
        remember_reviewer(answer, sent)
        return answer

    @router.post("/traces/{trace_id}/review")
    def open_trace(trace_id: str, sent: Form = filled) -> Response:
        told = exchange(site.telemetry.trace(trace_id))
        if told is None:
            raise UsageError(
                "no span of this trace holds an input, so it makes no case",
                hint="Turn on the recording of inputs.",
            )
        opened = site.records.reviews.open("label", subject_of(told), feature=told.feature, trace_id=trace_id)
        return RedirectResponse(f"/inbox/{opened.id}", 303)

    @router.post("/runs/{run_id}/cases/{case_id:path}")
    def mark(run_id: str, case_id: str, sent: Form = filled) -> Response:
        opened = _disagreement(site, run_id, sent.text("split"), case_id)
        _say(site, opened, sent)
        answer = RedirectResponse(f"/runs/{quote(run_id)}#case-{quote(case_id)}", 303)
        remember_reviewer(answer, sent)
        return answer

    return router


def _kind(sent: Form) -> ReviewKind | None:
    given = sent.text("kind")
    return next((kind for kind in get_args(ReviewKind) if kind == given), None)


def _say(site: Site, found: ReviewRow, sent: Form) -> str:
    """What was done, in a few words.

    Raises:
        Error: why nothing was.
    """
    choice, reviewer = sent.required("choice"), reviewer_in(sent)
    if choice == "dismiss":
        reviews.dismiss(site.records, found.id, reviewer, sent.text("comment") or None)
        return "dismissed"
    typed = sent.text("correction")
    consent = sent.text("consent")
    done = reviews.resolve(
        site.records,
        site.settings,
        found.id,
        choice,
        reviewer,
        correction=written(typed) if typed.strip() else None,
        consent="given" if consent == "given" else "not_needed" if consent == "not_needed" else None,
        comment=sent.text("comment") or None,
    )
    if done.case is None:
        return "resolved"
    return f"case {done.case.case.id} {'added to' if done.case.added else 'was in'} {done.case.file.name}"


def _disagreement(site: Site, run_id: str, split: str, case_id: str) -> ReviewRow:
    """A review of a case of a run: what its checks said, to be confirmed or not."""
    found = report(site, run_id)
    case = next(
        (case for case in found.cases if case.id == case_id and case.split == (split or case.split)), None
    )
    if case is None:
        raise UsageError(f"run {run_id} has no case {case_id[:80]!r}", hint="Reload the page of the run.")
    answers = case.candidate
    subject: dict[str, Any] = {
        "input": case.value,
        "output": answers[0].output if answers else None,
        "error": answers[0].failure.message if answers and answers[0].failure else None,
        "expected": case.expected,
        "variant": found.run.variant,
        "source": f"run:{found.run.id}/{case.id}",
        "check": next(iter(case.worst), None),
    }
    kept = {name: value for name, value in subject.items() if value is not None}
    return site.records.reviews.open("disagreement", kept, feature=found.run.feature)


def _page(
    site: Site,
    request: Request,
    current: ReviewRow | None,
    feature: str | None,
    kind: ReviewKind | None,
    *,
    problem: Error | None = None,
    sent: dict[str, str] | None = None,
) -> Response:
    groups = reviews.queue(site.records, site.telemetry.trace, feature=feature, kind=kind)
    if current is None and groups:
        current = groups[0].reviews[0]
    chosen = None
    if current is not None:
        chosen = next((group for group in groups if current in group.reviews), None)
    return rendering.page(
        site,
        request,
        "inbox.html",
        status=status_of(problem) if problem else 200,
        groups=groups,
        waiting=sum(len(group.reviews) for group in groups),
        current=current,
        chosen=chosen,
        shown=None if current is None else _shown(site, current),
        choices=() if current is None else reviews.choices(current.kind),
        feature=feature or "",
        kind=kind or "",
        query=urlencode({name: value for name, value in (("feature", feature), ("kind", kind)) if value}),
        missing=_missing(site, current.feature if current else feature or ""),
        agreed=agreement.agreement(site.records, current.feature) if current else None,
        reviewer=reviewer_of(request),
        done=request.query_params.get("done", ""),
        problem=problem,
        sent=sent or {},
        features=[name for name in site.telemetry.values("feature") if name] if not groups else [],
    )


class Shown(msgspec.Struct, frozen=True):
    """A review as the page has it: the conversation, its answer(s), what was said of it."""

    subject: dict[str, Any]
    input: tuple[Turn, ...]
    sent: tuple[Turn, ...]
    output: tuple[Turn, ...]
    left: tuple[Turn, ...]
    right: tuple[Turn, ...]
    window: tuple[Share, ...]
    tokens: int
    scores: tuple[Score, ...]
    feedback: tuple[FeedbackRow, ...]


def _shown(site: Site, current: ReviewRow) -> Shown:
    subject = reviews.seen(current)
    asked = _turns(subject.get("input"))
    trace = site.telemetry.trace(current.trace_id) if current.trace_id else ()
    call = max(
        (span for span in trace if span.operation == "chat"), key=lambda s: s.input_tokens, default=None
    )
    retrieved = [span.output for span in trace if span.operation == "retrieval"]
    sent = turns(call.input) if call else asked
    tokens = call.input_tokens if call else 0
    return Shown(
        subject=subject,
        input=asked,
        sent=sent if call and sent != asked else (),
        output=_turns(subject.get("output")),
        left=_turns(subject.get("left")),
        right=_turns(subject.get("right")),
        window=window(sent, tokens, retrieved=retrieved),
        tokens=tokens,
        scores=tuple(row.score for row in site.records.scores.of_trace(current.trace_id))
        if current.trace_id
        else (),
        feedback=site.records.feedback.of_trace(current.trace_id) if current.trace_id else (),
    )


def _turns(value: Any) -> tuple[Turn, ...]:
    return () if value is None else turns(msgspec.json.encode(value).decode())


def _missing(site: Site, feature: str) -> agreement.LabelsMissing | None:
    """The counter; None where the contract it counts for cannot be read (the overview says why)."""
    try:
        return agreement.labels_missing(site.settings, site.records, feature)
    except Error:
        return None
