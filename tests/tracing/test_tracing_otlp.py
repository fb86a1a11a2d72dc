"""OTLP in both encodings; what is broken is a clear error and never anything else."""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shiftright.core.trace import SpanRow
from shiftright.errors import UsageError
from shiftright.tracing import otlp
from shiftright.tracing.otlp import JSON, PROTOBUF, decode_traces, encode_traces

DATA = Path(__file__).parent.parent / "data" / "otlp_genai"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
numbers = st.integers(0, 10**9)
values: st.SearchStrategy[Any] = st.recursive(
    texts | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def rows(draw: st.DrawFn) -> SpanRow:
    operation = draw(st.sampled_from(["chat", "embeddings", "feature", "agent", "tool", "other"]))
    calls = operation in ("chat", "embeddings")
    count = numbers if calls else st.just(0)
    return SpanRow(
        trace_id=draw(st.integers(1, 2**128 - 1).map(lambda n: f"{n:032x}")),
        span_id=draw(st.integers(1, 2**64 - 1).map(lambda n: f"{n:016x}")),
        parent_span_id=draw(st.just("") | st.integers(1, 2**64 - 1).map(lambda n: f"{n:016x}")),
        name=draw(texts),
        start_ns=draw(st.integers(0, 2**63 - 1)),
        end_ns=draw(st.integers(0, 2**63 - 1)),
        operation=operation,
        error=draw(st.none() | words),
        **{name: draw(texts) for name in ("service", "feature", "variant", "release", "user", "session")},
        provider=draw(texts),
        model=draw(texts),
        input_tokens=draw(st.integers(10**8, 10**9) if calls else st.just(0)),
        output_tokens=draw(count),
        cached_tokens=draw(st.integers(0, 2**20) if calls else st.just(0)),
        reasoning_tokens=draw(count),
        cost_usd=draw(st.none() | st.floats(0, 100)) if calls else 0.0,
        input=draw(texts),
        output=draw(texts),
        attributes=draw(st.dictionaries(words.map(lambda name: f"x.{name}"), values, max_size=3)),
    )


@given(st.lists(rows(), max_size=4, unique_by=lambda span: (span.trace_id, span.span_id)))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_again(spans: list[SpanRow]) -> None:
    read = {(s.trace_id, s.span_id): s for s in decode_traces(encode_traces(spans), PROTOBUF)}
    for span in spans:
        assert read[span.trace_id, span.span_id] == span


@given(st.binary(max_size=200), st.sampled_from([PROTOBUF, JSON]), st.sampled_from(["", "gzip"]))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_spans_or_a_clear_error(body: bytes, kind: str, encoding: str) -> None:
    refused: list[str] = []
    with contextlib.suppress(UsageError):
        decode_traces(body, kind, encoding, refused)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_broken_pieces_of_real_requests_are_spans_or_a_clear_error(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(_REQUESTS))
    cut = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if cut:
            cut[data.draw(st.integers(0, len(cut) - 1))] = data.draw(st.integers(0, 255))
    kind = PROTOBUF if whole is _REQUESTS[0] else JSON
    with contextlib.suppress(UsageError):
        decode_traces(bytes(cut), kind, "", [])


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "resource",
                    "scope",
                    "attributes",
                    "key",
                    "value",
                    "status",
                    "traceId",
                    "spanId",
                    "events",
                    "links",
                    "arrayValue",
                    "values",
                    "intValue",
                    "startTimeUnixNano",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
@settings(max_examples=300, deadline=None)
def test_any_json_is_spans_or_a_clear_error(value: Any) -> None:
    with contextlib.suppress(UsageError):
        decode_traces(json.dumps(value).encode(), JSON, "", [])


def test_the_proto_example_in_json() -> None:
    body = (DATA / "opentelemetry_proto_example_trace.json").read_bytes()
    (span,) = decode_traces(gzip.compress(body), "application/json; charset=utf-8", "gzip")
    assert span.trace_id == "5b8efff798038103d269b633813fc60c"
    assert (span.span_id, span.parent_span_id) == ("eee19b7ec3c1b174", "eee19b7ec3c1b173")
    assert span.service == "my.service"
    assert span.attributes["my.span.attr"] == "some value"


def test_spans_without_usable_ids_are_refused_one_by_one() -> None:
    spans = [
        {"traceId": "0" * 32, "spanId": "1" * 16, "name": "zero"},
        {"traceId": "zz", "spanId": "1" * 16, "name": "hex"},
        {"traceId": "1" * 32, "spanId": "12", "name": "short"},
        {"traceId": "1" * 32, "spanId": "1" * 16, "name": "good", "endTimeUnixNano": str(2**64)},
    ]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    refused: list[str] = []
    (span,) = decode_traces(body, JSON, "", refused)
    assert span.name == "good"
    assert span.end_ns == 2**63 - 1
    assert len(refused) == 3
    with pytest.raises(UsageError, match="no valid trace id"):
        decode_traces(body, JSON)


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "expected", "said"),
    [
        (b"", "text/plain", "", otlp.UnknownEncoding, "cannot be read as 'text/plain'"),
        (b"", PROTOBUF, "br", otlp.UnknownEncoding, "'br' is not known"),
        (b"no gzip", PROTOBUF, "gzip", UsageError, "not gzip"),
        (gzip.compress(b"x" * 100)[:20], PROTOBUF, "gzip", UsageError, "cut short"),
        (gzip.compress(bytes(otlp.LARGEST_BODY + 1)), PROTOBUF, "gzip", otlp.TooLarge, "may have"),
        (b"\xff\xff", PROTOBUF, "", UsageError, "not an OTLP trace request"),
        (b"{", JSON, "", UsageError, "not JSON"),
        (b"[]", JSON, "", UsageError, "not an OTLP trace request"),
        (b"[" * 100_000, JSON, "", UsageError, "not JSON"),
    ],
    # Not by their bytes: a gzip header holds the second it was made in, and the workers of a
    # parallel run have to collect the same names.
    ids=[
        "unknown type",
        "unknown encoding",
        "not gzip",
        "gzip cut short",
        "gzip too large",
        "not protobuf",
        "open JSON",
        "JSON list",
        "deep JSON",
    ],
)
def test_what_is_not_otlp_is_said(
    body: bytes, kind: str, encoding: str, expected: type[UsageError], said: str
) -> None:
    with pytest.raises(expected, match=said):
        decode_traces(body, kind, encoding)


def _real() -> bytes:
    with gzip.open(DATA / "replayed.jsonl.gz") as lines:
        return json.dumps(json.loads(next(iter(lines)))["payload"]).encode()


_REQUESTS = [encode_traces(decode_traces(_real(), JSON)), _real()]


def test_a_stream_of_several_members_is_read_whole() -> None:
    first, second = (encode_traces([_row(number)]) for number in (1, 2))
    found = decode_traces(gzip.compress(first) + gzip.compress(second), PROTOBUF, "gzip")
    assert [span.span_id for span in found] == [f"{number:016x}" for number in (1, 2)]
    with pytest.raises(UsageError, match="cut short"):
        decode_traces(gzip.compress(first) + gzip.compress(second)[:-9], PROTOBUF, "gzip")
    with pytest.raises(UsageError, match="not gzip"):
        decode_traces(gzip.compress(first) + b"and more", PROTOBUF, "gzip")


def _row(number: int) -> SpanRow:
    return SpanRow(
        trace_id=f"{number:032x}", span_id=f"{number:016x}", name="chat", start_ns=number, end_ns=number + 1
    )
