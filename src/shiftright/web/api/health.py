"""``/healthz`` for whoever restarts us, ``/metrics`` for whoever watches us (Prometheus text format 0.0.4)."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec
from fastapi import APIRouter, Response

from shiftright.errors import StoreError
from shiftright.web.api.described import answer, answers
from shiftright.web.site import Site
from shiftright.web.traffic import traffic


class Health(msgspec.Struct):
    """``status`` is ``ok`` or ``degraded``: users are answered all the same, so it is 200 in both cases, and a program
    that restarts what is ill leaves a server with a full telemetry disk alone."""

    status: str
    records: str
    telemetry: str
    uptime_s: float


def router(site: Site) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", responses=answers(Health), response_class=Response)
    def healthz() -> Response:
        health = Health("ok", _state(lambda: site.records.runs.list(limit=1)), _telemetry(site), _age(site))
        if (health.records, health.telemetry) != ("ok", "ok"):
            health.status = "degraded"
        return answer(health)

    @router.get("/metrics", response_class=Response, include_in_schema=False)
    def metrics() -> Response:
        text = "".join(_metrics(site))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _state(read: Callable[[], object]) -> str:
    try:
        read()
    except StoreError as error:
        return error.message
    return "ok"


def _telemetry(site: Site) -> str:
    failure = site.intake.failure
    return failure.message if failure is not None else _state(lambda: site.telemetry.traces(limit=1))


def _age(site: Site) -> float:
    return round(max(time.time() - site.started, 0.0), 3)


def _metrics(site: Site) -> Iterator[str]:
    yield from _metric("shiftright_uptime_seconds", "gauge", "Since the server started.", [({}, _age(site))])
    yield from _metric("shiftright_memory_bytes", "gauge", "Most memory held so far.", [({}, _memory())])
    intake = site.intake
    yield from _metric("shiftright_spans_dropped_total", "counter", "Spans lost.", [({}, intake.dropped)])
    yield from _metric(
        "shiftright_spans_queued", "gauge", "Spans that wait to be written.", [({}, intake.queued)]
    )
    if (unrecorded := site.watch.unrecorded) is not None:
        words = "Requests of rollouts that are in no record."
        yield from _metric("shiftright_exposures_dropped_total", "counter", words, [({}, unrecorded())])
    words = "Requests refused without a known key that left no trace: there were too many."
    yield from _metric("shiftright_refusals_untraced_total", "counter", words, [({}, intake.untraced)])
    yield from _watch(site)
    try:
        yield from _traffic(site)
    except StoreError as error:
        yield f"# telemetry cannot be read: {error.message.splitlines()[0]}\n"


def _watch(site: Site) -> Iterator[str]:
    if (monitor := site.watch.monitor) is not None:
        for name, kind, words, value in (
            ("shiftright_traces_scored_total", "counter", "Live traces scored.", monitor.scored),
            ("shiftright_traces_unscored_total", "counter", "Left out: too many waited.", monitor.skipped),
            ("shiftright_traces_queued", "gauge", "Live traces that wait to be scored.", monitor.queued),
        ):
            yield from _metric(name, kind, words, [({}, value)])
        paused = [({"feature": feature}, 1.0) for feature in sorted(monitor.paused)]
        words = "Features that are not judged now: the month's budget is spent."
        yield from _metric("shiftright_judging_paused", "gauge", words, paused)
        failing = [({"feature": feature, "check": check}, 1.0) for feature, check in sorted(monitor.failing)]
        words = "Checks that score no live trace: what they ask cannot be asked."
        yield from _metric("shiftright_checks_failing", "gauge", words, failing)
    if (exporter := site.watch.exporter) is not None:
        for name, words, value in (
            ("shiftright_export_sent_total", "Spans the OTLP receiver took.", exporter.sent),
            ("shiftright_export_dropped_total", "Spans it did not get.", exporter.dropped),
        ):
            yield from _metric(name, "counter", words, [({}, value)])


def _traffic(site: Site) -> Iterator[str]:
    yield from _metric("shiftright_spans", "gauge", "Spans stored.", [({}, site.telemetry.count())])
    rows = traffic(site)
    for field, words in (
        ("traces", "Traces of the last 24 hours."),
        ("errors", "Of those, with an error."),
        ("cost_usd", "What their model calls cost, where a price is known."),
        ("unpriced", "Model calls without a known price."),
    ):
        samples = [({"feature": key}, getattr(row, field)) for key, row in rows.items()]
        yield from _metric(f"shiftright_feature_{field}_24h", "gauge", words, samples)


def _metric(
    name: str, kind: str, words: str, samples: Sequence[tuple[Mapping[str, str], float]]
) -> Iterator[str]:
    yield f"# HELP {name} {words}\n# TYPE {name} {kind}\n"
    for labels, value in samples:
        said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{said}}} {value:.10g}\n" if said else f"{name} {value:.10g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _memory() -> int:
    # Linux counts kilobytes, macOS bytes
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
