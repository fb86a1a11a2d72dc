"""What a caller may not do, with a key or without one."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.gateway.servers import Provider, Site, whole

from shiftright.core.loopback import is_loopback
from shiftright.gateway.access import Access
from shiftright.gateway.body import with_model
from shiftright.gateway.configuration import configure
from shiftright.gateway.refusal import Refusal
from shiftright.gateway.routing import Router
from shiftright.store import open_records
from shiftright.store.keys import Limits


@pytest.mark.parametrize(
    "host", ["127.evil.com", "127.0.0.1.evil.com", "evil.com", "10.0.0.1", "0.0.0.0", ""]
)
def test_a_name_is_no_loopback_address(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "[::1]"])
def test_loopback_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "model",
    ["http://127.0.0.1:1/internal#m", "https://a.example/v1#m", "recorded:/etc/passwd", "local:../x.gguf"],
)
def test_a_caller_names_no_address_and_no_file(tmp_path: Path, model: str) -> None:
    with pytest.raises(Refusal) as refused:
        Router(tmp_path, configure(tmp_path, {})).route(model)
    assert refused.value.status == 404


def test_revoking_the_last_key_does_not_open_the_server(tmp_path: Path) -> None:
    with open_records(f"sqlite:///{tmp_path / 'records.db'}") as records:
        key, secret = records.keys.create("app", Limits())
        access = Access(records, None)
        assert access.caller(secret).name == "app"
        records.keys.revoke(key.id)
        assert Access(records, None).needs_key
        with pytest.raises(Refusal) as refused:
            Access(records, None).caller(None)
    assert refused.value.status == 401


def test_a_name_that_is_too_long_is_refused_and_not_kept(site: Site, provider: Provider) -> None:
    long = "openai:" + "m" * 10_000_000
    got = httpx.post(site.url + "/v1/chat/completions", json={"model": long, "messages": []}, timeout=10)
    assert (got.status_code, got.json()["error"]["code"]) == (400, "invalid_request")
    assert "256" in got.json()["error"]["message"]
    assert len(site.spans(got.headers["x-trace-id"])[0].name) < 100
    named = httpx.get(site.url + "/v1/models/openai:" + "m" * 300)
    assert named.status_code == 404
    provider.plays = [whole(b'{"model":"gpt-5"}')]
    labels = {"user": "u" * 1_000_000, "model": "openai:gpt-5", "messages": []}
    kept = httpx.post(site.url + "/v1/chat/completions", json=labels, headers={"x-session-id": "s" * 10_000})
    span = site.spans(kept.headers["x-trace-id"])[0]
    assert (span.user, span.session) == ("u" * 256, "s" * 256)


@pytest.mark.parametrize(
    ("beginning", "end", "found"),
    [
        (b'"model":"openai:a",', b"", True),
        (b"", b',"model":"openai:a"', True),
        (b'"model":"openai:b",', b',"model":"openai:a"', False),
        (b'"mod\\u0065l":"openai:b",', b',"model":"openai:a"', False),
    ],
)
def test_the_model_of_a_large_body_is_found_without_building_its_values(
    beginning: bytes, end: bytes, found: bool
) -> None:
    deeper = b",".join([b'{"model":"x","role":"model","of":[[1],[2]]}'] * 300_000)
    sent = b'{%b"messages":[%b]%b}' % (beginning, deeper, end)
    began = time.thread_time()
    if found:
        assert with_model(sent, "a") == sent.replace(b"openai:a", b"a")
    else:
        with pytest.raises(Refusal, match="twice"):
            with_model(sent, "a")
    assert time.thread_time() - began < 0.7


def raw(site: Site, head: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", site.port), timeout=5) as client:
        client.sendall(head + b"\r\nConnection: close\r\n\r\n")
        return client.recv(1000).partition(b"\r\n")[0]


@pytest.mark.parametrize("path", [b"/v1/models", b"/api/features"])
def test_a_request_names_one_host(site: Site, path: bytes) -> None:
    assert b" 200 " in raw(site, b"GET %b HTTP/1.1\r\nHost: localhost" % path)
    assert b" 400 " in raw(site, b"GET %b HTTP/1.1\r\nHost: localhost\r\nHost: evil.example" % path)
    assert b" 400 " in raw(site, b"GET %b HTTP/1.1\r\nHost: evil.example\r\nHost: localhost" % path)
    assert b" 400 " in raw(site, b"GET http://evil.example%b HTTP/1.1\r\nHost: localhost" % path)
    assert b" 200 " in raw(site, b"GET http://localhost%b HTTP/1.1\r\nHost: localhost" % path)


def test_without_keys_a_host_is_named_and_a_page_is_our_own(site: Site) -> None:
    assert b" 403 " in raw(site, b"GET /v1/models HTTP/1.0\r\nAccept: */*")
    other = b"GET /v1/models HTTP/1.1\r\nHost: localhost:%d\r\nOrigin: http://localhost:%d"
    assert b" 200 " in raw(site, other % (site.port, site.port))
    assert b" 403 " in raw(site, other % (site.port, 3000))
    fetched = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: %b"
    assert b" 200 " in raw(site, fetched % b"same-origin")
    assert b" 403 " in raw(site, fetched % b"same-site")


def test_who_has_no_key_does_not_fill_the_disk(start: Callable[..., Site]) -> None:
    site = start(key="owner")
    with httpx.Client(base_url=site.url) as client:
        answers = [
            client.get("/v1/models", headers={"authorization": "Bearer wrong"})
            if number % 2
            else client.post("/v1/chat/completions", json={"model": "openai:gpt-5"})
            for number in range(70)
        ]
        known = client.get("/v1/models/nix", headers={"authorization": "Bearer owner"})
    assert {answer.status_code for answer in answers} == {401}
    assert all(answer.headers["x-trace-id"] for answer in answers)
    # what has a key is traced as ever, and written after what came before
    assert site.spans(known.headers["x-trace-id"])[0].name == "/v1/models/nix"
    assert [len(site.telemetry.trace(answer.headers["x-trace-id"])) for answer in answers] == [1] * 60 + [
        0
    ] * 10
    assert site.intake.untraced == 10
    listing = site.telemetry.trace(answers[1].headers["x-trace-id"])[0]
    assert (listing.operation, listing.name) == ("other", "/v1/models")
