"""The REST API: shapes that clients rely on, errors that say the way out."""

from __future__ import annotations

import msgspec
import pytest
from starlette.testclient import TestClient
from web_sites import BASE, PAGE, trace_id

from shiftright.core.trace import SpanRow
from shiftright.web.sessions import form_token
from shiftright.web.site import Site


def test_traces_come_in_pages_newest_first(client: TestClient) -> None:
    seen, cursor = [], None
    while True:
        address = "/api/traces?feature=echo&limit=25" + (f"&cursor={cursor}" if cursor else "")
        page = client.get(address).json()
        seen += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [row["trace_id"] for row in seen] == [trace_id(i) for i in (*range(1, 61), 71)]
    first = seen[0]
    assert first["spans"] == 3
    assert first["input_tokens"] == 120
    assert first["cost_usd"] == pytest.approx(0.0004)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("feature=support", 10),
        ("failed=true", 6),
        ("feature=echo&failed=true&limit=2", 2),
        ("user=user%201&feature=echo&limit=500", 20),
        ("min_ms=1000", 0),
        ("text=nowhere%20at%20all", 0),
        ("since=5m", 4),
        ("feature=support&failed=&min_ms=&min_cost_usd=&text=&since=&attribute=&user=", 10),
        ("attribute=gen_ai.request.temperature%3D0.2&limit=3", 3),
    ],
)
def test_traces_are_filtered(client: TestClient, query: str, expected: int) -> None:
    assert len(client.get(f"/api/traces?{query}").json()["data"]) == expected


def test_a_trace_has_its_spans_sums_scores_and_feedback(client: TestClient) -> None:
    found = client.get(f"/api/traces/{trace_id(1)}").json()
    assert found["trace_id"] == trace_id(1)
    assert found["feature"] == "echo"
    assert found["tokens"] == {"input": 120, "output": 30, "cached": 20, "reasoning": 0}
    assert found["cost_usd"] == pytest.approx(0.0004)
    root, *children = found["spans"]
    assert root["parent_span_id"] == ""
    assert {child["parent_span_id"] for child in children} == {root["span_id"]}
    assert found["scores"][0]["name"] == "polite"
    assert found["feedback"][0]["value"] == 0.0
    # what is written by one process of ours is read by another
    assert len(msgspec.convert(found["spans"], list[SpanRow])) == 3


def test_a_cost_that_is_not_known_is_null(client: TestClient) -> None:
    assert client.get(f"/api/traces/{trace_id(5)}").json()["cost_usd"] is None


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/traces/nothing", 404, "not_found"),
        ("/api/traces?limit=0", 422, "usage"),
        ("/api/traces?since=yesterday", 400, "usage"),
        ("/api/traces?attribute=novalue", 400, "usage"),
        ("/api/runs/r-nothing", 404, "not_found"),
        ("/api/features/nothing", 404, "not_found"),
        ("/api/features/..%2F..%2Fspec.yaml", 404, "not_found"),
        ("/api/reviews/nothing", 404, "not_found"),
        ("/api/nowhere", 404, "not_found"),
        ("/static/..%2fsite.py", 404, "not_found"),
    ],
)
def test_errors_have_one_shape(client: TestClient, path: str, status: int, code: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["hint"]


def test_features_and_the_next_action(client: TestClient) -> None:
    (row,) = client.get("/api/features").json()["data"]
    assert row["feature"] == "echo"
    assert row["last_run"]["verdict"] == "fail"
    detail = client.get("/api/features/echo").json()
    assert (detail["checks"][0]["check"], detail["checks"][0]["clause"]) == ("right", "max_drop")
    assert detail["checks"][0]["gate"]["verdict"] == "fail"
    live = {each["check"]: each["live"] for each in detail["checks"] if each["clause"] == "p95_at_most"}
    assert live["latency"]["verdict"] in ("holds", "unclear")
    assert client.get("/api/next").json() == detail["next"]


def test_runs_and_costs(client: TestClient) -> None:
    (run,) = client.get("/api/runs?feature=echo").json()["data"]
    report = client.get(f"/api/runs/{run['id']}").json()
    assert report["verdict"]["merge"] == "no"
    assert report["cases"]
    costs = client.get("/api/costs?by=model&bucket=day").json()["data"]
    assert sum(row["traces"] for row in costs) == 71


def test_health_and_metrics(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(
        line.rsplit(" ", 1) for line in answer.text.splitlines() if line and not line.startswith("#")
    )
    assert lines["shiftright_spans"] == "213"
    assert lines['shiftright_feature_traces_24h{feature="support"}'] == "10"
    assert lines["shiftright_spans_dropped_total"] == "0"
    assert lines["shiftright_refusals_untraced_total"] == "0"


def test_openapi_names_every_path_and_resolves(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    paths = document["paths"]
    for path in ("/api/traces", "/api/traces/{trace_id}", "/api/features", "/healthz", "/v1/feedback"):
        assert path in paths
    named = set(document["components"]["schemas"])
    text = msgspec.json.encode(document).decode()
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= named


def test_runs_are_paged(fresh) -> None:
    from shiftright.store.rows import RunRow
    from shiftright.web.application import application

    own = fresh(empty=True)
    made = []
    for number in range(5):
        made.append(own.records.runs.new_id())
        feature = "odd" if number % 2 else "even"
        own.records.runs.start(
            RunRow(made[-1], feature, "a", variant_digest="v", dataset_digest="d", started_at=float(number))
        )
    client = TestClient(application(own), base_url=BASE)

    def walk(query: str) -> list[str]:
        seen, cursor = [], ""
        while cursor is not None:
            page = client.get(f"/api/runs?limit=2&cursor={cursor}{query}").json()
            seen += [run["id"] for run in page["data"]]
            cursor = page["next_cursor"]
        return seen

    assert walk("") == made[::-1]
    assert walk("&feature=even") == made[::-2]


def test_incidents_are_listed_acknowledged_and_closed(fresh) -> None:
    from shiftright.web.application import application

    own = fresh()
    client = TestClient(application(own), base_url=BASE)
    ids = [
        own.records.incidents.open("check", "support", name, f"{name}: below", {"traces": []}).id
        for name in ("a", "b", "c")
    ]
    page = client.get("/api/incidents?feature=support&limit=2").json()
    assert [row["id"] for row in page["data"]] == [ids[2], ids[1]]
    rest = client.get(f"/api/incidents?feature=support&cursor={page['next_cursor']}").json()
    assert ([row["id"] for row in rest["data"]], rest["next_cursor"]) == ([ids[0]], None)
    assert client.get(f"/api/incidents/{ids[0]}").json()["cases"] == []
    assert client.get("/api/incidents/i-none").status_code == 404
    taken = client.post(f"/api/incidents/{ids[0]}/ack", json={"by": "ada"}).json()
    assert taken["incident"]["status"] == "acknowledged"
    assert client.post(f"/api/incidents/{ids[0]}/close", json={"by": "ada"}).status_code == 400
    closed = client.post(f"/api/incidents/{ids[0]}/close", json={"by": "ada", "no_case": "noise"}).json()
    assert closed["incident"]["status"] == "closed"
    assert "closed without a case" in closed["incident"]["postmortem"]
    assert [row["id"] for row in client.get("/api/incidents?status=closed").json()["data"]] == [ids[0]]


def test_reviews_are_listed_and_resolved(fresh, served: Site) -> None:

    from shiftright.web.application import application

    own = fresh()
    client = TestClient(application(own), base_url=BASE)
    reviews = client.get("/api/reviews?feature=echo&kind=complaint").json()["data"]
    assert len(reviews) == 3
    review = next(each for each in reviews if each["trace_id"] == trace_id(1))
    refused = client.post(
        f"/api/reviews/{review['id']}", json={"choice": "real", "reviewer": "ada", "correction": "sorry"}
    )
    assert refused.status_code == 400
    assert "consent" in refused.json()["error"]["message"]
    token = form_token(own, client.get("/").headers)
    asked = {"choice": "real", "correction": "sorry", "token": token, "kind": "complaint", "feature": "echo"}
    page = client.post(f"/inbox/{review['id']}", data=asked, headers=PAGE)
    assert page.status_code == 400
    assert '<input type="hidden" name="kind" value="complaint">' in page.text
    assert page.text.count("?feature=echo&amp;kind=complaint") == page.text.count('<a href="/inbox/')
    closed = client.post(
        f"/api/reviews/{review['id']}",
        json={"choice": "real", "reviewer": "ada", "correction": "sorry", "consent": "given"},
    ).json()
    assert closed["review"]["status"] == "resolved"
    assert closed["case"]["added"] is True
    assert (own.settings.root / "must.jsonl").read_text().count("sorry") == 1
    scores = client.get(f"/api/traces/{trace_id(1)}").json()["scores"]
    assert ("human", "ada") in [(score["source"], score["author"]) for score in scores]
    assert client.post(f"/api/reviews/{review['id']}", content=b"{").status_code == 400
    late = client.post(f"/api/reviews/{review['id']}", json={"choice": "dismiss", "reviewer": "bob"})
    assert late.status_code == 409
    assert late.json()["error"]["code"] == "closed"
    assert "already resolved by ada at 20" in late.json()["error"]["message"]
    page = client.post(f"/inbox/{review['id']}", data={"choice": "dismiss", "token": token}, headers=PAGE)
    assert page.status_code == 409
    assert "already resolved by ada at 20" in page.text


def test_marks_of_a_case_of_a_run_name_their_person(fresh) -> None:
    from shiftright.web.application import application

    own = fresh()
    client = TestClient(application(own), base_url=BASE)
    (run,) = client.get("/api/runs").json()["data"]
    case = client.get(f"/api/runs/{run['id']}").json()["cases"][0]["id"]
    token = form_token(own, client.get("/").headers)
    sent = {"choice": "real", "token": token, "reviewer": "Ann <b>"}
    marked = client.post(f"/runs/{run['id']}/cases/{case}", data=sent, follow_redirects=False)
    assert marked.status_code == 303
    page = client.get(f"/runs/{run['id']}").text
    assert "said: real (Ann &lt;b&gt;)" in page
    assert 'value="Ann &lt;b&gt;"' in page, "asked for once"
    (review,) = own.records.reviews.list("resolved", kind="disagreement").data
    assert review.reviewer == "Ann <b>"
