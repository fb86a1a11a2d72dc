"""OTLP traces to spans and back: protobuf and JSON, gzip or plain.

JSON is read here and not by protobuf's own parser: OTLP/JSON writes ids in hex, where protobuf's JSON has base64.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from shiftright.core.text import storable
from shiftright.core.trace import SpanRow
from shiftright.errors import UsageError
from shiftright.tracing import attributes as names
from shiftright.tracing import conventions

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
LARGEST_BODY: Final = 64 * 1024 * 1024
"""Bytes of a request after decompression."""
_LATEST_NS: Final = 2**63 - 1
_ERROR: Final = 2
_DEEPEST: Final = 32
_NO_SPAN: Final = "0" * 16
_EXCEPTION: Final = "exception"
# Said by every process of a kind, about the library and not about the application.
_DULL: Final = ("telemetry.", "process.", "host.", "os.", "container.id", names.SERVICE_NAME)


class TooLarge(UsageError):
    """More than LARGEST_BODY after decompression."""


class UnknownEncoding(UsageError):
    """A content type or encoding that is not OTLP's."""


def decode_traces(
    body: bytes, content_type: str, encoding: str = "", refused: list[str] | None = None
) -> list[SpanRow]:
    """The spans of an ExportTraceServiceRequest.

    Args:
        content_type: ``application/x-protobuf`` or ``application/json``, parameters allowed.
        encoding: the Content-Encoding: empty, ``identity`` or ``gzip``.
        refused: takes a reason for each span without usable ids; when None, such a span is an error.

    Raises:
        UsageError: when the body is not what it says; its subclasses tell the two cases that have their own status.
    """
    plain = _decompressed(body, encoding.strip().lower())
    kind = content_type.partition(";")[0].strip().lower()
    if kind == PROTOBUF:
        found = _from_protobuf(plain)
    elif kind == JSON:
        found = _from_json(plain)
    else:
        raise UnknownEncoding(
            f"traces cannot be read as {content_type[:80]!r}", hint=f"Send {PROTOBUF} or {JSON} (OTLP/HTTP)."
        )
    spans: list[SpanRow] = []
    for read in found:
        if isinstance(read, SpanRow):
            spans.append(read)
        elif refused is None:
            raise UsageError(read)
        else:
            refused.append(read)
    return spans


def encode_traces(spans: Sequence[SpanRow]) -> bytes:
    """An ExportTraceServiceRequest in protobuf, with OpenTelemetry's own names; decoding gives the same spans."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    scopes: dict[str, Any] = {}
    for span in spans:
        if (scope := scopes.get(span.service)) is None:
            resource = request.resource_spans.add()
            if span.service:
                _add(resource.resource.attributes, names.SERVICE_NAME, span.service)
            scope = scopes[span.service] = resource.scope_spans.add()
        _write(scope.spans.add(), span)
    return bytes(request.SerializeToString())


def _decompressed(body: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        plain, more = body, b""
    elif encoding == "gzip":
        plain, more = b"", body
        # a stream may have several members, one after the other
        while more and len(plain) <= LARGEST_BODY:
            reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                plain += reader.decompress(more, LARGEST_BODY + 1 - len(plain))
            except zlib.error as error:
                raise UsageError(f"the body is not gzip: {error}") from None
            if not reader.eof and not reader.unconsumed_tail:
                raise UsageError("the gzip body is cut short")
            more = reader.unconsumed_tail or reader.unused_data
    else:
        raise UnknownEncoding(
            f"the content encoding {encoding[:40]!r} is not known", hint="Send gzip or none."
        )
    if more or len(plain) > LARGEST_BODY:
        raise TooLarge(f"a request may have {LARGEST_BODY:,} bytes", hint="Send smaller batches.")
    return plain


def _span(
    trace_id: str,
    span_id: str,
    parent: str,
    name: str,
    start: int,
    end: int,
    failed: bool,
    message: str,
    attributes: Iterable[tuple[str, Any]],
    events: Sequence[tuple[str, int, dict[str, Any]]],
    service: str,
) -> SpanRow | str:
    """A span, or why it cannot be kept."""
    if len(trace_id) != 32 or not trace_id.strip("0"):
        return f"a span named {name[:80]!r} has no valid trace id"
    if len(span_id) != 16 or not span_id.strip("0"):
        return f"a span named {name[:80]!r} has no valid span id"
    if events:
        attributes, kept, thrown = _with_events(attributes, events)
    else:
        kept, thrown = [], ""
    meaning = conventions.read(attributes)
    rest = meaning.rest
    if kept:
        rest[names.EVENTS] = kept
    return SpanRow(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id="" if parent == _NO_SPAN else parent,
        name=name,
        start_ns=min(start, _LATEST_NS),
        end_ns=min(end, _LATEST_NS),
        error=message or thrown or str(rest.get(names.ERROR_TYPE) or "error") if failed else None,
        service=service,
        attributes=rest,
        **meaning.fields,
    )


_MESSAGE_ROLES: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
# Events that carry what newer instrumentations write as attributes of the span.
_DETAILS: Final = (
    "gen_ai.client.inference.operation.details",
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
)


def _with_events(
    attributes: Iterable[tuple[str, Any]], events: Sequence[tuple[str, int, dict[str, Any]]]
) -> tuple[Iterable[tuple[str, Any]], list[dict[str, Any]], str]:
    """Attributes with what older instrumentations put into events, the other events, what was thrown."""
    more: list[tuple[str, Any]] = []
    asked: list[dict[str, Any]] = []
    said: list[Any] = []
    kept: list[dict[str, Any]] = []
    thrown = ""
    for name, time, values in events:
        if name in _DETAILS:
            more += values.items()
        elif (role := _MESSAGE_ROLES.get(name)) is not None:
            asked.append({"role": role, **values})
        elif name == "gen_ai.choice":
            said.append(values)
        else:
            if name == _EXCEPTION:
                kind, text = values.get("exception.type"), values.get("exception.message")
                thrown = ": ".join(str(part) for part in (kind, text) if part)
            kept.append({"name": name, "time_ns": time, "attributes": values})
    if asked:
        more.append(("gen_ai.prompt", asked))
    if said:
        more.append(("gen_ai.completion", said))
    return [*attributes, *more], kept, thrown


def _of_resource(attributes: dict[str, Any]) -> tuple[str, list[tuple[str, Any]], list[tuple[str, Any]]]:
    """The service's name, what every span of it is told (release), and what only a root is."""
    service = str(attributes.get(names.SERVICE_NAME, ""))
    shared = [item for item in attributes.items() if item[0] in conventions.TABLE["release"]]
    for_roots = [
        item
        for item in attributes.items()
        if not item[0].startswith(_DULL) and item[0] not in conventions.TABLE["release"]
    ]
    return service, shared, for_roots


# --- protobuf


def _from_protobuf(body: bytes) -> Iterator[SpanRow | str]:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise UsageError(f"the body is not an OTLP trace request: {str(error)[:200]}") from None
    for resource in request.resource_spans:
        service, shared, for_roots = _of_resource(_values(resource.resource.attributes))
        for scope in resource.scope_spans:
            told = [*shared, (names.SCOPE_NAME, scope.scope.name)] if scope.scope.name else shared
            for span in scope.spans:
                yield _read(span, service, told, for_roots)


def _read(
    span: Span, service: str, told: list[tuple[str, Any]], for_roots: list[tuple[str, Any]]
) -> SpanRow | str:
    parent = span.parent_span_id.hex()
    attributes: list[tuple[str, Any]] = [*told] if parent else [*told, *for_roots]
    for pair in span.attributes:
        value = pair.value
        # Nearly all values are texts; asking for the kind costs as much as reading one.
        attributes.append((pair.key, value.string_value or _value(value)))
    events: list[tuple[str, int, dict[str, Any]]] = []
    if span.events:
        events = [(event.name, event.time_unix_nano, _values(event.attributes)) for event in span.events]
    if span.links:
        attributes.append(
            (names.LINKS, [f"{link.trace_id.hex()}:{link.span_id.hex()}" for link in span.links])
        )
    return _span(
        span.trace_id.hex(),
        span.span_id.hex(),
        parent,
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code == _ERROR,
        span.status.message,
        attributes,
        events,
        service,
    )


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _values(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)


# --- JSON


def _from_json(body: bytes) -> Iterator[SpanRow | str]:
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the body is not JSON: {str(error)[:200]}") from None
    try:
        for resource in _list(request, "resourceSpans"):
            told = _json_values(_list(_dict(resource, "resource"), "attributes"))
            service, shared, for_roots = _of_resource(told)
            for scope in _list(resource, "scopeSpans"):
                name = str(_dict(scope, "scope").get("name", ""))
                said = [*shared, (names.SCOPE_NAME, name)] if name else shared
                for span in _list(scope, "spans"):
                    yield _read_json(span, service, said, for_roots)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"the JSON is not an OTLP trace request: {str(error)[:200]}",
            hint="It has resourceSpans, in them scopeSpans, in them spans.",
        ) from None


def _read_json(
    span: Any, service: str, told: list[tuple[str, Any]], for_roots: list[tuple[str, Any]]
) -> SpanRow | str:
    parent = _hex(span.get("parentSpanId"))
    attributes = [*told] if parent else [*told, *for_roots]
    attributes += _json_values(_list(span, "attributes")).items()
    events = [
        (str(event.get("name", "")), _time(event, "timeUnixNano"), _json_values(_list(event, "attributes")))
        for event in _list(span, "events")
    ]
    if links := _list(span, "links"):
        attributes.append(
            (names.LINKS, [f"{_hex(link.get('traceId'))}:{_hex(link.get('spanId'))}" for link in links])
        )
    status = _dict(span, "status")
    return _span(
        _hex(span.get("traceId")),
        _hex(span.get("spanId")),
        parent,
        str(span.get("name", "")),
        _time(span, "startTimeUnixNano"),
        _time(span, "endTimeUnixNano"),
        status.get("code") in (_ERROR, "STATUS_CODE_ERROR"),
        str(status.get("message") or ""),
        attributes,
        events,
        service,
    )


def _hex(identifier: Any) -> str:
    """In small letters; empty when it is not hexadecimal, which is refused further on."""
    text = str(identifier or "").lower()
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        return ""


def _time(item: Any, name: str) -> int:
    return max(0, int(item.get(name) or 0))


def _list(item: Any, name: str) -> list[Any]:
    value = item.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(f"{name} is not a list")
    return value


def _dict(item: Any, name: str) -> dict[str, Any]:
    value = item.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"{name} is not an object")
    return value


def _json_values(pairs: list[Any]) -> dict[str, Any]:
    return {str(pair["key"]): _json_value(pair.get("value")) for pair in pairs if "key" in pair}


def _json_value(value: Any, depth: int = 0) -> Any:
    if not value or depth > _DEEPEST:
        return None
    kind, inner = next(iter(value.items()))
    match kind:
        case "intValue":
            return int(inner)
        case "doubleValue":
            return float(inner)
        case "boolValue":
            return bool(inner)
        case "arrayValue":
            return [_json_value(item, depth + 1) for item in _list(inner, "values")]
        case "kvlistValue":
            pairs = _list(inner, "values")
            return {str(pair["key"]): _json_value(pair.get("value"), depth + 1) for pair in pairs}
        case _:
            return str(inner)


# --- writing


_WRITTEN: Final = {
    "provider": names.PROVIDER,
    "model": names.RESPONSE_MODEL,
    "feature": names.FEATURE,
    "variant": names.VARIANT,
    "release": names.RELEASE,
    "user": names.USER_ID,
    "session": names.SESSION_ID,
    "input": names.INPUT_MESSAGES,
    "output": names.OUTPUT_MESSAGES,
}
_WRITTEN_COUNTS: Final = {
    "input_tokens": names.INPUT_TOKENS,
    "output_tokens": names.OUTPUT_TOKENS,
    "cached_tokens": names.CACHE_READ_TOKENS,
    "reasoning_tokens": names.REASONING_TOKENS,
}


def _write(target: Span, span: SpanRow) -> None:
    target.trace_id = bytes.fromhex(span.trace_id)
    target.span_id = bytes.fromhex(span.span_id)
    target.parent_span_id = bytes.fromhex(span.parent_span_id)
    target.name = storable(span.name)
    target.start_time_unix_nano, target.end_time_unix_nano = span.start_ns, span.end_ns
    called = span.operation in conventions.MODEL_CALLS
    target.kind = target.SPAN_KIND_CLIENT if called else target.SPAN_KIND_INTERNAL
    if span.error is not None:
        target.status.code = target.status.STATUS_CODE_ERROR
        target.status.message = storable(span.error)
    attributes = target.attributes
    if span.operation != "other":
        _add(attributes, names.OPERATION, span.operation)
    for field, name in _WRITTEN.items():
        if value := getattr(span, field):
            _add(attributes, name, value)
    for field, name in _WRITTEN_COUNTS.items():
        if value := getattr(span, field):
            _add(attributes, name, value)
    if span.cost_usd is not None and (called or span.cost_usd):
        _add(attributes, names.COST_USD, span.cost_usd)
    for name, value in span.attributes.items():
        _add(attributes, name, value)


def _add(pairs: Any, name: str, value: Any) -> None:
    pair = pairs.add()
    pair.key = storable(name)
    _set(pair.value, value)


def _set(target: AnyValue, value: Any, depth: int = 0) -> None:
    if isinstance(value, str):
        target.string_value = storable(value)
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int) and -(2**63) <= value < 2**63:
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, (list, tuple)) and depth < _DEEPEST:
        target.array_value.SetInParent()
        for item in value:
            _set(target.array_value.values.add(), item, depth + 1)
    elif isinstance(value, dict) and depth < _DEEPEST:
        target.kvlist_value.SetInParent()
        for name, item in value.items():
            pair = target.kvlist_value.values.add()
            pair.key = storable(str(name))
            _set(pair.value, item, depth + 1)
    elif value is not None:
        target.string_value = storable(str(value))
