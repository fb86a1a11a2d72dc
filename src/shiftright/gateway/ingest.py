"""``POST /v1/traces``: OTLP/HTTP in. 200 means that every span is on disk."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from shiftright.core.answer import Usage
from shiftright.core.trace import SpanRow
from shiftright.errors import Error, StoreError, UsageError
from shiftright.gateway import body
from shiftright.gateway.refusal import Refusal
from shiftright.models.prices import Price
from shiftright.store.intake import Intake
from shiftright.store.spool import Spool
from shiftright.tracing import attributes as names
from shiftright.tracing import otlp
from shiftright.tracing.conventions import MODEL_CALLS, list_provider

LARGEST_HELD = 4 * body.LARGEST_BYTES
"""Bytes of requests that are being read or decoded at once."""
RETRY_AFTER_S = 1

_log = logging.getLogger("shiftright.telemetry")
_held = 0
# One thread: decoding holds the interpreter's lock anyway, and requests of users go first.
_decoding = ThreadPoolExecutor(1, thread_name_prefix="shiftright-otlp")


async def ingest(scope: Any, proto: Any, intake: Intake, allowed: tuple[str, ...] = ()) -> None:
    """Answer one request; who sends it has been checked, and may speak of the ``allowed`` features (none: of all)."""
    global _held
    kind = str(scope.headers.get("content-type") or "")
    if scope.method != "POST":
        _refuse(proto, kind, 405, "traces are sent with POST")
        return
    size = _announced(scope)
    if _held + size > LARGEST_HELD or not intake.has_room(1):
        _refuse(proto, kind, 429, "too many spans are waiting; nothing of this request was kept")
        return
    _held += size
    try:
        data = await body.read(scope, proto)
        encoding = str(scope.headers.get("content-encoding") or "")
        refused: list[str] = []
        loop = asyncio.get_running_loop()
        spans = await loop.run_in_executor(_decoding, received, data, kind, encoding, refused, allowed)
        if spans:
            if not intake.has_room(len(spans)):
                _refuse(proto, kind, 429, "too many spans are waiting; nothing of this request was kept")
                return
            await asyncio.wrap_future(intake.commit(spans))
        _accept(proto, kind, refused)
    except Refusal as refusal:
        _refuse(proto, kind, refusal.status, refusal.message)
    except UsageError as error:
        _refuse(proto, kind, _status(error), _said(error))
    except StoreError as error:
        _refuse(proto, kind, 503, _said(error))
    finally:
        _held -= size


def received(
    data: bytes,
    content_type: str,
    encoding: str = "",
    refused: list[str] | None = None,
    allowed: tuple[str, ...] = (),
) -> list[SpanRow]:
    """Spans of an OTLP request. See ``tracing.otlp.decode_traces``.

    A model call that states no cost gets its list price; unknown stays unknown. Spans of features that are not
    ``allowed`` are not kept.
    """
    spans = otlp.decode_traces(data, content_type, encoding, refused)
    if allowed:
        strange = [span.feature for span in spans if span.feature and span.feature not in allowed]
        if refused is not None:
            refused += [f"this key may not speak of feature {feature[:200]!r}" for feature in strange]
        spans = [span for span in spans if not span.feature or span.feature in allowed]
    for span in spans:
        if span.cost_usd is None and span.operation in MODEL_CALLS:
            span.cost_usd = _price(span)
    return spans


def _price(span: SpanRow) -> float | None:
    if not span.input_tokens and not span.output_tokens:
        # A call that failed was not answered, and is not charged.
        return 0.0 if span.error is not None else None
    written = span.attributes.get(names.CACHE_CREATION_TOKENS, 0)
    usage = Usage(
        span.input_tokens,
        span.output_tokens,
        span.cached_tokens,
        span.reasoning_tokens,
        written if isinstance(written, int) else 0,
    )
    price = Price(model=span.model, provider=list_provider(span.provider))
    return price.cost(usage, (span.end_ns - span.start_ns) / 1e9)


def _announced(scope: Any) -> int:
    given = str(scope.headers.get("content-length") or "")
    return (
        min(int(given), body.LARGEST_BYTES) if given.isdecimal() and len(given) < 18 else body.LARGEST_BYTES
    )


def _status(error: UsageError) -> int:
    match error:
        case otlp.TooLarge():
            return 413
        case otlp.UnknownEncoding():
            return 415
        case _:
            return 400


def _accept(proto: Any, kind: str, refused: list[str]) -> None:
    said = f"{len(refused)} spans were not kept: {refused[0]}" if refused else ""
    if _is_json(kind):
        partial = {"rejectedSpans": str(len(refused)), "errorMessage": said}
        answer = msgspec.json.encode({"partialSuccess": partial} if refused else {})
    else:
        answer = _partial(len(refused), said) if refused else b""
    proto.response_bytes(200, [("content-type", _kind_of(kind))], answer)


def _partial(count: int, said: str) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = count
    response.partial_success.error_message = said
    return bytes(response.SerializeToString())


def _refuse(proto: Any, kind: str, status: int, message: str) -> None:
    """A google.rpc.Status, as OTLP/HTTP asks for; its second field is the message."""
    headers = [("content-type", _kind_of(kind))]
    if status in (429, 503):
        headers.append(("retry-after", str(RETRY_AFTER_S)))
    if _is_json(kind):
        proto.response_bytes(status, headers, msgspec.json.encode({"message": message}))
        return
    text = message.encode("utf-8", "replace")[:2000]
    proto.response_bytes(status, headers, b"\x12" + _varint(len(text)) + text)


def _said(error: Error) -> str:
    return error.message if error.hint is None else f"{error.message}. {error.hint}"


def _kind_of(kind: str) -> str:
    return otlp.JSON if _is_json(kind) else otlp.PROTOBUF


def _is_json(kind: str) -> bool:
    return kind.strip().lower().startswith(otlp.JSON)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def take_in(spool: Spool, intake: Intake) -> int:
    """Store what waits in the spool; returns how many batches.

    Raises:
        StoreError: when they cannot be read or stored now; they stay where they are.
    """
    taken = 0
    for path, batch in spool.waiting():
        try:
            spans = received(batch, otlp.PROTOBUF)
        except UsageError as error:
            kept = spool.set_aside(path)
            _log.error("spans put aside cannot be read and stay in %s: %s", kept, error)
            continue
        intake.commit(spans).result()
        spool.done(path)
        taken += 1
    return taken


async def keep_taking(spool: Spool, intake: Intake, every_s: float = 2.0) -> None:
    """Take in at once and then every few seconds, for ever; what cannot be stored now is tried again."""
    while True:
        try:
            await asyncio.to_thread(take_in, spool, intake)
        except StoreError as error:
            _log.warning("spans that other processes put aside stay there: %s", error)
        await asyncio.sleep(every_s)
