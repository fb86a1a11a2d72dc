"""What goes wrong in front of a live gateway, and what the caller sees of it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.servers import Play, Provider, Site, chunks, whole

from shiftright.store.keys import Limits

ANSWER = b'{"id":"c","model":"gpt-5","choices":[{"message":{"role":"assistant","content":"OK"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}'  # noqa: E501
EVENT = b'data: {"model":"gpt-5","choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
ASK = {"model": "openai:gpt-5", "messages": [{"role": "user", "content": "hi"}]}
SHORT = "providers: {openai: {base_url: 'URL', api_key_env: OPENAI_API_KEY, timeout: 0.3 s}}"


def ask(site: Site, path: str = "/v1/chat/completions", **more: Any) -> httpx.Response:
    headers = more.pop("headers", {})
    return httpx.post(site.url + path, json=ASK | more, headers=headers, timeout=10)


def hang() -> Play:
    async def play(got: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)

    return play


def test_a_provider_that_refuses_is_a_502_with_a_trace(start: Callable[..., Site]) -> None:
    site = start("providers: {nobody: {base_url: 'http://127.0.0.1:1/v1'}}")
    got = ask(site, model="nobody:m")
    assert got.status_code == 502
    assert got.json()["error"]["code"] == "provider_unreachable"
    assert "Connection refused" in (site.spans(got.headers["x-trace-id"])[0].error or "")


def test_a_provider_that_hangs_is_a_504(start: Callable[..., Site], provider: Provider) -> None:
    provider.plays = [hang()]
    got = ask(start(SHORT))
    assert (got.status_code, got.json()["error"]["code"]) == (504, "provider_timeout")


def test_a_stream_that_falls_silent_ends_with_an_error_event(
    start: Callable[..., Site], provider: Provider
) -> None:
    provider.plays = [chunks(EVENT, hang=True)]
    got = ask(start(SHORT), stream=True)
    assert got.content.startswith(EVENT)
    assert b'"code":"provider_timeout"' in got.content


def test_a_stream_that_is_cut_ends_with_an_error_event(site: Site, provider: Provider) -> None:
    provider.plays = [chunks(EVENT, EVENT[:20], cut=True)]
    got = ask(site, stream=True)
    first, _, _ = got.content.partition(EVENT[:20] + b"\n\n")
    assert first == b"" or first.startswith(EVENT)
    assert json.loads(got.content.split(b"data: ")[-1])["error"]["code"] == "provider_unreachable"
    assert site.spans(got.headers["x-trace-id"])[0].error


ENDS = (
    ("/v1/chat/completions", b"data: [DONE]\n\n"),
    ("/v1/messages", b'event: message_stop\ndata: {"type":"message_stop"}\n\n'),
    ("/v1/responses", b'data: {"type":"response.completed","response":{"id":"r","model":"gpt-5"}}\n\n'),
)


@pytest.mark.parametrize(("path", "end"), ENDS)
def test_a_stream_without_its_end_mark_failed_and_keeps_its_usage(
    site: Site, provider: Provider, path: str, end: bytes
) -> None:
    said = b'data: {"model":"gpt-5","usage":{"input_tokens":7,"output_tokens":3}}\n\n'
    provider.plays = [chunks(said), chunks(said, end)]
    model = "anthropic:claude-haiku-4-5" if path == "/v1/messages" else "openai:gpt-5"
    cut, ended = (
        site.spans(ask(site, path, model=model, stream=True).headers["x-trace-id"])[0] for _ in range(2)
    )
    assert cut.error == "the provider's stream ended before its end mark"
    assert (cut.input_tokens, cut.output_tokens, cut.attributes["http.response.status_code"]) == (7, 3, 502)
    assert (ended.error, ended.input_tokens) == (None, 7)


def test_an_answer_with_a_finish_reason_has_ended(site: Site, provider: Provider) -> None:
    last = b'data: {"model":"gpt-5","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    provider.plays = [chunks(EVENT, last)]
    assert site.spans(ask(site, stream=True).headers["x-trace-id"])[0].error is None


def test_a_response_that_failed_says_why(site: Site, provider: Provider) -> None:
    failed = b'data: {"type":"response.failed","response":{"id":"r","error":{"message":"overloaded"}}}\n\n'
    provider.plays = [chunks(failed)]
    got = ask(site, "/v1/responses", stream=True)
    assert "overloaded" in (site.spans(got.headers["x-trace-id"])[0].error or "")


@pytest.mark.parametrize("how", [{"cut": True}, {}])
def test_streams_that_are_cut_open_the_circuit(site: Site, provider: Provider, how: dict[str, bool]) -> None:
    provider.plays = [chunks(EVENT, **how)]
    codes = [ask(site, stream=True).status_code for _ in range(6)]
    assert codes == [200] * 5 + [503]


def test_clients_that_go_do_not_open_the_circuit(site: Site, provider: Provider) -> None:
    provider.plays = [*[chunks(EVENT, hang=True)] * 6, whole(ANSWER)]
    for _ in range(6):
        with httpx.stream("POST", site.url + "/v1/chat/completions", json=ASK | {"stream": True}) as got:
            next(got.iter_raw())
            trace_id = got.headers["x-trace-id"]
        assert site.spans(trace_id)[0].attributes["http.response.status_code"] == 499
    assert ask(site).status_code == 200


def test_broken_chunks_pass_and_the_rest_is_read(site: Site, provider: Provider) -> None:
    broken = b'data: {"choices":[{"delta"\n\ndata: \xff\xfe\n\n'
    provider.plays = [chunks(EVENT, broken, EVENT)]
    got = ask(site, stream=True)
    assert got.content == EVENT + broken + EVENT
    span = site.spans(got.headers["x-trace-id"])[0]
    assert json.loads(span.output)[0]["content"] == "wordword"


def test_an_answer_that_is_no_json_passes_and_its_cost_is_unknown(site: Site, provider: Provider) -> None:
    provider.plays = [whole(b"\xff not json")]
    got = ask(site)
    assert got.content == b"\xff not json"
    span = site.spans(got.headers["x-trace-id"])[0]
    assert span.cost_usd is None
    assert span.error == "the provider's answer cannot be read"


def test_retry_after_is_waited_for(site: Site, provider: Provider) -> None:
    provider.plays = [whole(b"{}", 429, extra="retry-after-ms: 50\r\n"), whole(ANSWER)]
    got = ask(site)
    assert got.status_code == 200
    assert site.spans(got.headers["x-trace-id"])[0].attributes["shiftright.attempts"] == 2


@pytest.mark.parametrize(
    "said", ["retry-after-ms: nan", "retry-after-ms: inf", "retry-after-ms: -1", "retry-after: nan"]
)
def test_a_pause_that_cannot_be_waited_for_is_the_usual_one(
    site: Site, provider: Provider, said: str
) -> None:
    provider.plays = [whole(b"{}", 429, extra=f"{said}\r\n"), whole(ANSWER)]
    began = time.monotonic()
    assert ask(site).status_code == 200
    assert time.monotonic() - began > 0.2


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_cannot_speak_for_this_server(site: Site, provider: Provider, stream: bool) -> None:
    names = (
        "x-trace-id", "x-feedback-token", "set-cookie", "Access-Control-Allow-Origin", "Clear-Site-Data",
        "Strict-Transport-Security", "Alt-Svc",
    )  # fmt: skip
    theirs = "".join(f"{name}: theirs\r\n" for name in names)
    content_type = "text/event-stream" if stream else "application/json"
    provider.plays = [
        whole(EVENT if stream else ANSWER, content_type=content_type, extra=theirs + "x-kept: yes\r\n")
    ]
    got = ask(site, stream=stream)
    assert got.headers["x-kept"] == "yes"
    assert len(got.headers.get_list("x-trace-id")) == len(got.headers.get_list("x-feedback-token")) == 1
    assert "theirs" not in str(got.headers)
    assert "clear-site-data" not in got.headers
    assert "access-control-allow-origin" not in got.headers


def test_a_long_pause_is_the_callers_to_wait(site: Site, provider: Provider) -> None:
    provider.plays = [whole(b'{"error":{"message":"slow down"}}', 429, extra="retry-after: 120\r\n")]
    got = ask(site)
    assert (got.status_code, got.headers["retry-after"]) == (429, "120")
    assert len(provider.received) == 1


def test_the_fallback_answers(start: Callable[..., Site], provider: Provider) -> None:
    provider.plays = [whole(ANSWER)]
    site = start(
        "providers: {dead: {base_url: 'http://127.0.0.1:1/v1'}}\n"
        "gateway: {fallback: {'dead:m': ['openai:gpt-5-mini']}}"
    )
    got = ask(site, model="dead:m")
    assert got.status_code == 200
    assert json.loads(provider.received[0].body)["model"] == "gpt-5-mini"
    assert site.spans(got.headers["x-trace-id"])[0].provider == "openai"


def test_the_circuit_opens_after_five_failures(start: Callable[..., Site]) -> None:
    site = start("providers: {dead: {base_url: 'http://127.0.0.1:1/v1'}}")
    codes = [ask(site, model="dead:m").json()["error"]["code"] for _ in range(3)]
    assert codes[-1] == "provider_down"
    assert "retry-after" in ask(site, model="dead:m").headers


def test_a_client_that_goes_stops_the_provider(site: Site, provider: Provider) -> None:
    provider.plays = [chunks(EVENT, hang=True)]
    with httpx.stream("POST", site.url + "/v1/chat/completions", json=ASK | {"stream": True}) as got:
        next(got.iter_raw())
        trace_id = got.headers["x-trace-id"]
    assert provider.gone.wait(3)
    span = site.spans(trace_id)[0]
    assert (span.attributes["http.response.status_code"], json.loads(span.output)[0]["content"]) == (
        499,
        "word",
    )


def test_a_client_that_goes_before_the_answer_is_let_go(site: Site, provider: Provider) -> None:
    provider.plays = [hang()]
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(site.url + "/v1/chat/completions", json=ASK, headers={"traceparent": parent}, timeout=0.4)
    assert provider.gone.wait(1), "the provider still works for nobody"
    span = site.spans("0af7651916cd43dd8448eb211c80319c")[0]
    assert span.attributes["http.response.status_code"] == 499
    assert site.gateway.active == 0


def test_a_slow_client_gets_everything_and_holds_nobody_up(site: Site, provider: Provider) -> None:
    big = b"data: " + b"x" * 60_000 + b"\n\n"
    provider.plays = [chunks(*[big] * 60), whole(ANSWER)]
    body = json.dumps(ASK | {"stream": True}).encode()
    with socket.create_connection(("127.0.0.1", site.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        while not provider.received:
            time.sleep(0.005)
        began = time.perf_counter()
        assert ask(site).status_code == 200
        assert time.perf_counter() - began < 1
        got = b""
        while part := slow.recv(65536):
            got += part
    assert got.count(b"x") >= 60 * 60_000


def test_a_body_of_more_than_50_mb_is_refused(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port)) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 50000001\r\n\r\n{"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 413")


def test_the_control_plane_sees_a_large_body_before_its_end(site: Site) -> None:
    head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as client:
        client.sendall(head + b"300000\r\n" + b"x" * 0x300000 + b"\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/x", "/unread"])
@pytest.mark.parametrize("parts", [[b"small"], [b"x" * 1_000_000] * 5])
def test_a_connection_is_kept_whatever_the_control_plane_reads(
    site: Site, path: str, parts: list[bytes]
) -> None:
    kept = HTTPConnection("127.0.0.1", site.port, timeout=5)
    kept.connect()
    kept.auto_open = 0
    for body in (b"".join(parts), iter(parts), b"again"):
        kept.request("POST", path, body, {"Host": "localhost"})
        assert kept.getresponse().read() == f"{path}!".encode()
    kept.close()


def test_a_client_that_goes_in_the_middle_of_its_body_is_let_go(site: Site) -> None:
    for path in ("/x", "/unread"):
        with socket.create_connection(("127.0.0.1", site.port), timeout=5) as client:
            client.sendall(
                b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n{" % path.encode()
            )
    assert httpx.get(site.url + "/x").status_code == 200
    for _ in range(200):
        if not site.gateway.active:
            break
        time.sleep(0.01)
    assert site.gateway.active == 0


def test_a_limit_in_usd_refuses_models_without_a_price(
    start: Callable[..., Site], provider: Provider
) -> None:
    site = start("providers: {own: {base_url: 'URL'}}", key="owner")
    _, secret = site.records.keys.create("shop", Limits(month_at_most_usd=1.0))
    site.run(site.access.exchange())
    provider.plays = [whole(ANSWER)]
    headers = {"authorization": f"Bearer {secret}"}
    got = ask(site, model="own:unheard-of", headers=headers)
    assert (got.status_code, got.json()["error"]["code"]) == (403, "unknown_price")
    assert ask(site, headers=headers).status_code == 200


def test_what_breaks_after_it_was_sent_is_charged(site: Site, provider: Provider) -> None:
    provider.plays = [chunks(EVENT, cut=True), hang()]
    ask(site, stream=True)
    broken = charged(site, above=0.0)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(site.url + "/v1/chat/completions", json=ASK, timeout=0.4)
    assert charged(site, above=broken) > broken


ASKS = """\
from shiftright import Context

async def echo(text: str, ctx: Context) -> str:
    await ctx.ask("first")
    return await ctx.ask(text)
"""
ASKING = """\
feature: echo
run: echo:echo
cases: cases.jsonl
variants: {one: {model: 'openai:gpt-5', base_url: 'URL', api_key_env: OPENAI_API_KEY,
                 price: {input: 1 USD/M, output: 1000 USD/M}}}
baseline: one
checks: {same: {score: exact, at_least: 50%}}
"""


@pytest.mark.parametrize("path", ["/v1/features/echo", "/v1/chat/completions", "/v1/messages"])
def test_what_a_client_left_is_charged(
    start: Callable[..., Site], provider: Provider, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Of a feature that asks twice the answer it got and what the second may cost; of a translated call the latter."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")

    def prepare(root: Path) -> None:
        (root / "spec.yaml").write_text(ASKING.replace("URL", provider.url), encoding="utf-8")
        (root / "echo.py").write_text(ASKS, encoding="utf-8")
        (root / "cases.jsonl").write_text('{"input": "a", "expected": "A"}\n', encoding="utf-8")

    site = start(prepare=prepare)
    translated = path == "/v1/messages"
    provider.plays = [hang()] if translated else [whole(ANSWER), hang()]
    ask = ASK | {"model": "openai:gpt-5" if translated else "echo"}
    body = json.dumps("hi" if path == "/v1/features/echo" else ask).encode()
    with socket.create_connection(("127.0.0.1", site.port)) as client:
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        while len(provider.received) < (1 if translated else 2):
            time.sleep(0.005)
    # by the feature's price: 5 tokens in and 1 out were answered, and an answer of 500 is expected
    assert charged(site, above=0.0) == pytest.approx(
        0.001005 + 0.500003 if not translated else 0.005, rel=0.01
    )


def charged(site: Site, above: float) -> float:
    for _ in range(200):
        if (spent := site.access.spent("key:")) > above:
            break
        time.sleep(0.01)
    return spent


def test_ten_thousand_messages_pass(site: Site, provider: Provider) -> None:
    provider.plays = [whole(ANSWER)]
    messages = [{"role": "user", "content": f"message {number} " + "é" * 50} for number in range(10_000)]
    got = ask(site, messages=messages)
    assert got.status_code == 200
    assert json.loads(provider.received[0].body)["messages"] == messages


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"model": 1}',
        b'{"model":"openai:m","messages":["\xff"]}',
        b'{"messages":[]}',
        b"[" * 10_000,
    ],
)
def test_what_cannot_be_read_is_a_400(site: Site, body: bytes) -> None:
    got = httpx.post(site.url + "/v1/chat/completions", content=body)
    assert (got.status_code, got.json()["error"]["type"]) == (400, "invalid_request_error")
    assert got.headers["x-trace-id"]


def test_an_unknown_model_is_a_404_in_the_callers_dialect(site: Site) -> None:
    assert ask(site, model="nix").json()["error"]["code"] == "model_not_found"
    anthropic = ask(site, "/v1/messages", model="nix")
    assert (anthropic.status_code, anthropic.json()["type"]) == (404, "error")
    assert anthropic.json()["error"]["type"] == "not_found_error"


def test_a_revoked_key_is_refused_and_a_stream_that_has_begun_is_finished(
    start: Callable[..., Site], provider: Provider
) -> None:
    site = start(key="owner")
    _, secret = site.records.keys.create("shop")
    site.run(site.access.exchange())
    headers = {"authorization": f"Bearer {secret}"}
    provider.plays = [chunks(EVENT, EVENT, EVENT, pause_s=0.1)]
    with httpx.stream(
        "POST", site.url + "/v1/chat/completions", json=ASK | {"stream": True}, headers=headers
    ) as got:
        site.records.keys.revoke("shop")
        site.run(site.access.exchange())
        refused = ask(site, headers=headers)
        assert got.read() == EVENT * 3
    assert refused.status_code == 401
    span = site.spans(refused.headers["x-trace-id"])[0]
    assert span.error == "this key is unknown or was revoked"
    assert ask(site).json()["error"]["code"] == "missing_api_key"
    assert secret not in str(span)


def test_a_key_is_held_to_its_rate_its_month_and_its_features(
    start: Callable[..., Site], provider: Provider
) -> None:
    provider.plays = [whole(ANSWER)]
    site = start(key="owner")
    secrets = {
        name: {"x-api-key": site.records.keys.create(name, limits)[1]}
        for name, limits in (
            ("rate", Limits(requests_per_minute=2)),
            ("month", Limits(month_at_most_usd=1e-6)),
            ("one", Limits(features=("openai:gpt-5-mini",))),
        )
    }
    site.run(site.access.exchange())
    codes = [ask(site, headers=secrets["rate"]).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert ask(site, headers=secrets["month"]).status_code == 200
    spent = ask(site, headers=secrets["month"])
    assert (spent.status_code, spent.json()["error"]["code"]) == (429, "insufficient_quota")
    assert spent.headers["x-should-retry"] == "false"
    assert ask(site, headers=secrets["one"]).status_code == 403
    assert ask(site, headers=secrets["one"], model="openai:gpt-5-mini").status_code == 200


def test_a_page_from_elsewhere_cannot_use_a_server_without_keys(site: Site) -> None:
    assert ask(site, headers={"origin": "https://evil.example"}).status_code == 403
    assert ask(site, headers={"host": "evil.example"}).status_code == 403


class FullDisk:
    """A telemetry store that cannot be written."""

    def append(self, spans: Any) -> Any:
        from shiftright.errors import StoreError

        raise StoreError("the disk is full")


def test_telemetry_that_cannot_be_written_costs_no_answer(site: Site, provider: Provider) -> None:
    provider.plays = [whole(ANSWER)]
    site.intake._store = FullDisk()  # type: ignore[assignment]
    assert [ask(site).status_code for _ in range(5)] == [200] * 5
    for _ in range(200):
        if site.intake.dropped == 5:
            break
        threading.Event().wait(0.005)
    assert site.intake.dropped == 5


def test_five_hundred_streams_at_once(site: Site, provider: Provider) -> None:
    provider.plays = [chunks(EVENT, EVENT, pause_s=0.2)]

    async def all_of_them() -> list[bytes]:
        import aiohttp

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one() -> bytes:
                body = json.dumps(ASK | {"stream": True})
                async with session.post(site.url + "/v1/chat/completions", data=body) as got:
                    return await got.read()

            return await asyncio.gather(*(one() for _ in range(500)))

    began = time.perf_counter()
    assert asyncio.run(all_of_them()) == [EVENT * 2] * 500
    assert time.perf_counter() - began < 15


def test_an_end_waits_for_the_answers_under_way(start: Callable[..., Site], provider: Provider) -> None:
    provider.plays = [chunks(EVENT, EVENT, EVENT, pause_s=0.15)]
    site = start()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, site, stream=True)
        while not provider.received:
            time.sleep(0.005)
        site._loop.call_soon_threadsafe(site._ending.set)
        assert answer.result(5).content == EVENT * 3
    with pytest.raises(httpx.ConnectError):
        ask(site)
