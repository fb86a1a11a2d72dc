"""Keys, origins, forms, headers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient
from web_sites import BASE, PAGE, trace_id

from shiftright.improve import tokens
from shiftright.web.application import application
from shiftright.web.attempts import Attempts
from shiftright.web.sessions import form_token, new_session
from shiftright.web.site import Site

KEY = "a key of the test"


@pytest.fixture
def locked(fresh: Callable[..., Site]) -> tuple[Site, TestClient]:
    own = fresh(key=KEY, empty=True)
    return own, TestClient(application(own), base_url="http://team.example", follow_redirects=False)


def test_every_answer_has_the_headers(client: TestClient) -> None:
    for path in ("/", "/traces", "/api/traces", "/api/traces/none", "/static/app.js", "/nowhere", "/healthz"):
        headers = client.get(path, headers=PAGE).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"


def test_other_sites_load_the_widget_and_nothing_else(client: TestClient) -> None:
    policy = "cross-origin-resource-policy"
    assert client.get("/static/feedback.js").headers[policy] == "cross-origin"
    assert client.get("/static/app.js").headers[policy] == "same-origin"


def test_without_a_key_nothing_but_health_and_login_is_given(locked: tuple[Site, TestClient]) -> None:
    _, client = locked
    for path in ("/api/traces", "/api/features", "/metrics", "/api/openapi.json"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get(path, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get(path, headers={"authorization": f"Bearer {KEY}"}).status_code == 200
    for path in ("/", "/traces", "/inbox"):
        answer = client.get(path, headers=PAGE)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert client.get("/healthz").status_code == 200
    assert client.get("/login", headers=PAGE).status_code == 200


def test_logging_in_gives_a_cookie_that_only_this_server_reads(locked: tuple[Site, TestClient]) -> None:
    own, client = locked
    token = form_token(own, client.get("/login").headers)
    wrong = client.post("/login", data={"key": "no", "token": token}, headers=PAGE)
    assert wrong.status_code == 403
    assert "This is not the key" in wrong.text
    entered = client.post("/login", data={"key": KEY, "token": token})
    assert entered.status_code == 303
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert KEY not in cookie
    assert client.get("/", headers=PAGE).status_code == 200
    assert client.get("/api/traces").status_code == 200


def test_wrong_keys_are_not_tried_for_long(locked: tuple[Site, TestClient]) -> None:
    own, client = locked
    token = form_token(own, client.get("/login").headers)
    wrong = [client.post("/login", data={"key": str(n), "token": token}).status_code for n in range(12)]
    assert wrong == [403] * 10 + [429] * 2
    right = client.post("/login", data={"key": KEY, "token": token}, headers=PAGE)
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) > 500
    assert "too many wrong keys" in right.text
    assert client.get("/api/traces", headers={"authorization": f"Bearer {KEY}"}).status_code == 200
    other = TestClient(client.app, base_url=BASE, client=("10.0.0.2", 1), follow_redirects=False)
    assert other.post("/login", data={"key": KEY, "token": token}).status_code == 303


def test_attempts_are_forgotten_in_time_and_bounded_whoever_tries() -> None:
    now = [0.0]
    attempts = Attempts(by_one=2, by_all=3, within_s=60, clock=lambda: now[0])
    for at, address in ((0, "a"), (10, "a"), (20, "b")):
        assert attempts.wait_s(address) == 0
        now[0] = at
        attempts.failed(address)
    assert (attempts.wait_s("a"), attempts.wait_s("b"), attempts.wait_s("c")) == (40, 40, 40)
    now[0] = 60.0
    assert [attempts.wait_s(address) for address in "abc"] == [0, 0, 0]


@pytest.mark.parametrize("value", ["", "1.abc", "99999999999.abc", "٣.abc", "x" * 5000])
def test_a_made_up_session_is_none(locked: tuple[Site, TestClient], value: str) -> None:
    _, client = locked
    cookie = f"shiftright_session={value}".encode()
    assert client.get("/api/traces", headers={"cookie": cookie}).status_code == 401  # type: ignore[dict-item]


def test_a_session_of_another_key_is_none(locked: tuple[Site, TestClient]) -> None:
    own, client = locked
    other = Site(own.settings, own.records, own.telemetry, own.intake, "another key")
    cookie = f"shiftright_session={new_session(other)}"
    assert client.get("/api/traces", headers={"cookie": cookie}).status_code == 401
    cookie = f"shiftright_session={new_session(own)}"
    assert client.get("/api/traces", headers={"cookie": cookie}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_pages_of_other_sites_change_nothing(
    client: TestClient, served: Site, headers: dict[str, str]
) -> None:
    token = form_token(served, client.get("/").headers)
    for path in (f"/traces/{trace_id(3)}/review", "/playground", "/api/reviews/v-1"):
        answer = client.post(path, data={"token": token}, headers=headers)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "origin"


def test_a_form_needs_the_token_of_its_page(client: TestClient) -> None:
    for token in ("", "0" * 64, "é"):
        answer = client.post("/playground", data={"feature": "echo", "input": "x", "token": token})
        assert answer.status_code == 400
        assert "this form is not from a page" in answer.json()["error"]["message"]


def test_an_open_server_answers_to_loopback_names_only(served: Site) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example:4000", "192.168.0.7"):
        client = TestClient(application(served), base_url=f"http://{host}")
        assert client.get("/api/traces").status_code == 403
    for host in ("localhost:4000", "127.0.0.1:4000", "127.0.0.2:4000", "[::1]:4000"):
        client = TestClient(application(served), base_url=f"http://{host}")
        assert client.get("/api/traces").status_code == 200


def test_feedback_takes_the_key_or_the_traces_token(locked: tuple[Site, TestClient]) -> None:
    own, client = locked
    trace = trace_id(5)
    sent = {"trace_id": trace, "value": 0}
    assert client.post("/v1/feedback", json=sent).status_code == 401
    right = tokens.token(tokens.secret(own.settings), trace)
    abroad = {"origin": "https://shop.example", "sec-fetch-site": "cross-site"}
    assert client.post("/v1/feedback", json={**sent, "token": "0" * 32}, headers=abroad).status_code == 401
    taken = client.post("/v1/feedback", json={**sent, "token": right}, headers=abroad)
    assert taken.status_code == 200
    assert taken.headers["access-control-allow-origin"] == "*"
    key = {"authorization": f"Bearer {KEY}"}
    once = client.post("/v1/feedback", json={**sent, "idempotency_key": "k"}, headers=key).json()
    assert client.post("/v1/feedback", json={**sent, "idempotency_key": "k"}, headers=key).json() == once
    assert client.options("/v1/feedback", headers=abroad).status_code == 204
    assert client.post("/v1/feedback", content=b"x" * 200_000, headers=key).status_code == 413
    assert client.post("/v1/feedback", content=b"\xff", headers=key).status_code == 400


def test_an_open_server_takes_feedback_of_programs_not_of_other_sites(client: TestClient) -> None:
    sent = {"trace_id": trace_id(70), "value": 1}
    assert client.post(f"{BASE}/v1/feedback", json=sent).status_code == 200
    assert client.post("/v1/feedback", json=sent, headers={"sec-fetch-site": "cross-site"}).status_code == 401


def test_bodies_are_bounded(client: TestClient, served: Site) -> None:
    token = form_token(served, client.get("/").headers)
    answer = client.post("/playground", data={"feature": "echo", "input": "x" * 3_000_000, "token": token})
    assert answer.status_code in (400, 413)


def test_the_playground_runs_features_of_this_project_only(
    client: TestClient, served: Site, tmp_path
) -> None:
    (tmp_path / "spec.yaml").write_text("feature: other\nrun: other:run\ncases: c.jsonl\nchecks: {}\n")
    token = form_token(served, client.get("/").headers)
    answer = client.post("/playground", data={"feature": str(tmp_path), "input": "x", "token": token})
    assert answer.status_code == 404
