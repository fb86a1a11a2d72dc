"""What passes through passes unchanged, and leaves one span."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.servers import Provider, Site, chunks, whole

WIRE = Path(__file__).parents[1] / "data" / "wire.jsonl.gz"
ANSWER = (
    b'{"id":"c1","object":"chat.completion","model":"gpt-5-2025-08-07","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"OK"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,'
    b'"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":400}}, "odd" : [1.50]}'
)
ASK = {"model": "openai:gpt-5", "messages": [{"role": "user", "content": "hi"}]}


def recordings() -> list[dict[str, Any]]:
    with gzip.open(WIRE, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize("row", recordings(), ids=lambda row: row["id"][-60:])
def test_recorded_exchanges_pass_byte_for_byte(row: dict[str, Any], site: Site, provider: Provider) -> None:
    said = row["response_body"]
    answer = (
        said.encode() if isinstance(said, str) else json.dumps(said, indent=1, ensure_ascii=False).encode()
    )
    content_type = row["response_headers"].get("content-type", "application/json")
    pieces = [answer[at : at + 700] for at in range(0, len(answer), 700)]
    provider.plays = [
        chunks(*pieces) if "sse" in row["kinds"] else whole(answer, row["status"], content_type)
    ]
    name = row["request_body"]["model"]
    sent = json.dumps(row["request_body"], indent=2, ensure_ascii=False)
    scheme = "anthropic" if row["api"] == "anthropic_messages" else "openai"
    asked = sent.replace(f'"model": {json.dumps(name)}', f'"model": {json.dumps(f"{scheme}:{name}")}')
    got = httpx.post(site.url + row["path"], content=asked.encode(), timeout=5)
    assert got.status_code == row["status"]
    assert got.content == answer
    assert provider.received[0].body == sent.encode()
    assert provider.received[0].path == row["path"]
    span = site.spans(got.headers["x-trace-id"])[0]
    assert (span.error is None) == (row["status"] < 400)
    if row["status"] == 200 and row["api"] != "embeddings":
        assert span.output not in ("", "[]")


def test_a_pass_through_is_one_span_with_tokens_and_cost(site: Site, provider: Provider) -> None:
    provider.plays = [whole(ANSWER)]
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    got = httpx.post(site.url + "/v1/chat/completions", json=ASK, headers={"traceparent": parent})
    assert got.headers["x-trace-id"] == "0af7651916cd43dd8448eb211c80319c"
    (span,) = site.spans(got.headers["x-trace-id"])
    assert (span.operation, span.provider, span.model) == ("chat", "openai", "gpt-5-2025-08-07")
    assert (span.input_tokens, span.output_tokens, span.cached_tokens) == (1000, 100, 400)
    assert span.cost_usd == pytest.approx((600 * 1.25 + 400 * 0.125 + 100 * 10) / 1e6)
    assert span.parent_span_id == "b7ad6b7169203331"
    assert json.loads(span.input) == ASK["messages"]
    assert json.loads(span.output) == [{"role": "assistant", "content": "OK"}]
    sent = provider.received[0].headers
    assert sent["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
    assert sent["authorization"] == "Bearer sk-openai"


def test_a_stream_arrives_as_it_is_made(site: Site, provider: Provider) -> None:
    parts = [
        b'data: {"id":"c1","model":"gpt-5","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\ndata: [DONE]\n\n',
    ]
    provider.plays = [chunks(*parts, pause_s=0.05)]
    with httpx.stream("POST", site.url + "/v1/chat/completions", json=ASK | {"stream": True}) as got:
        pieces = list(got.iter_raw())
    assert b"".join(pieces) == b"".join(parts)
    assert len(pieces) >= 3
    (span,) = site.spans(got.headers["x-trace-id"])
    assert json.loads(span.output) == [{"role": "assistant", "content": "ab"}]
    assert (span.input_tokens, span.output_tokens) == (7, 2)


def test_a_stream_whose_usage_is_not_told_has_an_unknown_cost(site: Site, provider: Provider) -> None:
    provider.plays = [chunks(b'data: {"model":"gpt-5","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')]
    got = httpx.post(site.url + "/v1/chat/completions", json=ASK | {"stream": True})
    (span,) = site.spans(got.headers["x-trace-id"])
    assert span.cost_usd is None
    assert site.access.spent("key:") > 0  # budgets count an estimate


def test_deeper_models_stay_and_the_key_itself_is_found(site: Site, provider: Provider) -> None:
    provider.plays = [whole(ANSWER)]
    body = b'{"tools":[{"model":"x"},{"a\\"model":"y"}], "model" :\n"openai:gpt-5" ,"metadata":{"model":"openai:gpt-5"}}'  # noqa: E501
    httpx.post(site.url + "/v1/chat/completions", content=body).raise_for_status()
    assert provider.received[0].body == body.replace(b'\n"openai:gpt-5"', b'\n"gpt-5"')
    twice = httpx.post(site.url + "/v1/chat/completions", content=b'{"model":"openai:a","model":"openai:b"}')
    assert twice.status_code == 400


def test_equal_requests_get_the_kept_answer_when_asked_to(site: Site, provider: Provider) -> None:
    provider.plays = [whole(ANSWER)]
    cached = {"x-shiftright-cache": "60"}
    first = httpx.post(site.url + "/v1/chat/completions", json=ASK, headers=cached)
    second = httpx.post(site.url + "/v1/chat/completions", json=ASK, headers=cached)
    assert first.content == second.content
    assert len(provider.received) == 1
    span = site.spans(second.headers["x-trace-id"])[0]
    assert (span.cost_usd, span.attributes["shiftright.cached"]) == (0.0, True)
    httpx.post(site.url + "/v1/chat/completions", json=ASK)
    assert len(provider.received) == 2


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("anthropic-beta", True),
        ("openai-project", True),
        ("openai-organization", True),
        ("x-provider-mode", True),
        ("authorization", True),
        ("traceparent", False),
        ("user-agent", False),
        ("x-stainless-retry-count", False),
    ],
)
def test_what_may_change_an_answer_is_part_of_what_is_kept(
    start: Callable[..., Site], provider: Provider, name: str, others: bool
) -> None:
    site = start("providers: {open: {base_url: 'URL'}}")
    provider.plays = [whole(ANSWER)]
    for value in ("one", "two", "one"):
        headers = {"x-shiftright-cache": "60", name: value}
        httpx.post(site.url + "/v1/chat/completions", json=ASK | {"model": "open:m"}, headers=headers)
    assert len(provider.received) == (2 if others else 1)


def test_every_other_path_goes_to_the_control_plane(site: Site) -> None:
    got = httpx.get(site.url + "/any%20where?x=1")
    assert got.text == "/any where!"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("told", [10**30, 2**63 - 1, -5])
def test_a_usage_that_cannot_be_is_limited_and_the_answer_stands(
    site: Site, provider: Provider, told: int, stream: bool
) -> None:
    usage = {
        "prompt_tokens": told,
        "completion_tokens": told,
        "prompt_tokens_details": {"cached_tokens": told},
    }
    answer = {"model": "gpt-5", "choices": [{"message": {}}], "usage": usage}
    data = json.dumps(answer).encode()
    provider.plays = [chunks(b"data: %b\n\n" % data) if stream else whole(data)]
    for _ in range(2):
        got = httpx.post(site.url + "/v1/chat/completions", json=ASK | {"stream": stream})
        assert got.status_code == 200
        span = site.spans(got.headers["x-trace-id"])[0]
        assert 0 <= span.input_tokens <= 10**9
        assert 0 <= span.output_tokens <= 10**9


def test_what_is_learnt_of_an_answer_that_has_gone_fails_no_request(
    site: Site, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(body: bytes) -> None:
        raise OverflowError("too large")

    monkeypatch.setattr("shiftright.gateway.answers.read_whole", fail)
    provider.plays = [whole(b"{}")]
    got = httpx.post(site.url + "/v1/chat/completions", json=ASK)
    span = site.spans(got.headers["x-trace-id"])[0]
    assert (got.status_code, span.attributes["http.response.status_code"], span.cost_usd) == (200, 200, None)
    assert span.error


@pytest.mark.parametrize("stream", [False, True])
def test_what_goes_into_a_providers_cache_has_its_own_price(
    site: Site, provider: Provider, stream: bool
) -> None:
    usage = {
        "input_tokens": 1000,
        "cache_creation_input_tokens": 8000,
        "cache_read_input_tokens": 2000,
        "output_tokens": 100,
    }
    message = {"id": "m", "type": "message", "model": "claude-sonnet-4-5", "content": [], "usage": usage}
    events = [
        {"type": "message_start", "message": message},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 100}},
        {"type": "message_stop"},
    ]
    provider.plays = [
        chunks(*(b"data: %b\n\n" % json.dumps(event).encode() for event in events))
        if stream
        else whole(json.dumps(message).encode())
    ]
    ask = {"model": "anthropic:claude-sonnet-4-5", "messages": [], "stream": stream}
    got = httpx.post(site.url + "/v1/messages", json=ask)
    (span,) = site.spans(got.headers["x-trace-id"])
    assert (span.input_tokens, span.cached_tokens) == (11_000, 2000)
    assert span.attributes["gen_ai.usage.cache_creation.input_tokens"] == 8000
    costs = (1000 * 3 + 8000 * 3.75 + 2000 * 0.3 + 100 * 15) / 1e6
    assert span.cost_usd == pytest.approx(costs)
    assert site.access.spent("key:") == pytest.approx(costs)


@pytest.mark.parametrize("error", [{"message": "upstream overloaded", "code": 502}, "upstream overloaded"])
def test_an_error_with_status_200_is_an_error(site: Site, provider: Provider, error: Any) -> None:
    said = json.dumps({"error": error}).encode()
    provider.plays = [whole(said), whole(ANSWER)]
    cached = {"x-shiftright-cache": "60"}
    got = httpx.post(site.url + "/v1/chat/completions", json=ASK, headers=cached)
    assert (got.status_code, got.content) == (200, said)
    span = site.spans(got.headers["x-trace-id"])[0]
    assert "upstream overloaded" in (span.error or "")
    assert (span.model, span.cost_usd, site.access.spent("key:")) == ("gpt-5", 0.0, 0.0)
    again = httpx.post(site.url + "/v1/chat/completions", json=ASK, headers=cached)
    assert again.content == ANSWER
    assert site.spans(again.headers["x-trace-id"])[0].error is None


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_asked_for_as_it_can_be_read(site: Site, provider: Provider, stream: bool) -> None:
    provider.plays = [whole(ANSWER)]
    ask = ASK | {"stream": stream}
    for _ in range(2):  # through each of the two clients
        httpx.post(site.url + "/v1/chat/completions", json=ask, headers={"accept-encoding": "gzip, br"})
    assert [each.headers["accept-encoding"] for each in provider.received] == ["identity"] * 2
