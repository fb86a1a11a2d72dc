"""A feature that fails: what its contract names is asked in order, over real HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from tests.gateway.servers import Provider, Site, whole

from shiftright import spec as specs
from shiftright.errors import SpecError, UsageError
from shiftright.gateway.rollouts import exposure
from shiftright.gateway.spans import Assigned, Record, ids_of
from shiftright.improve import reviews
from shiftright.settings import Settings
from shiftright.store.keys import Limits
from shiftright.tracing import attributes as names

SPEC = """\
feature: triage
run: triage:triage
variants: {{first: {{}}, rules: {{run: "triage:rules"}}}}
baseline: first
cases: cases.jsonl
checks:
  right: {{score: exact, at_least: 50%}}
  helped: {{score: fallback, at_most: 5%}}
ship: {{fallback: [{chain}]{more}}}
"""
CODE = """\
def triage(text):
    if "bad" in text:
        raise ValueError("no model today")
    return {"queue": "model"}


def rules(text):
    if "worse" in text:
        raise ValueError("no rule either")
    return {"queue": "rules"}
"""
ANSWER = {
    "id": "a",
    "model": "gpt-x",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}],
}


def project(chain: str = "rules, person:support", more: str = "") -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        (folder / "spec.yaml").write_text(SPEC.format(chain=chain, more=more))
        (folder / "triage.py").write_text(CODE)
        (folder / "cases.jsonl").write_text('{"input": "a", "expected": {"queue": "model"}}\n')

    return prepare


def ask(site: Site, path: str, body: Any = None, key: str = "") -> tuple[int, dict[str, str], Any]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(site.url + path, data, headers), timeout=20) as got:
            return got.status, {k.lower(): v for k, v in got.headers.items()}, json.loads(got.read())
    except HTTPError as error:
        with error:
            return error.code, dict(error.headers), json.loads(error.read())


def settings(site: Site) -> Settings:
    return Settings.load(site.root, env={})


def test_code_answers_where_the_feature_fails(start: Callable[..., Site]) -> None:
    site = start(prepare=project())
    assert ask(site, "/v1/features/triage", "good")[2]["output"] == {"queue": "model"}
    status, _, got = ask(site, "/v1/features/triage", "bad")
    assert (status, got["output"], got["rung"]) == (200, {"queue": "rules"}, "rules")
    spans = site.spans(got["trace_id"])
    root = next(span for span in spans if span.operation == "feature")
    assert (root.attributes[names.RUNG], root.error) == ("rules", None)
    (failed,) = [span for span in spans if span.name == "failed: first"]
    assert "no model today" in (failed.error or "")


def test_a_person_is_asked_last_and_the_answer_comes_back(start: Callable[..., Site]) -> None:
    site = start(prepare=project(more=", answer_within: 2 h"))
    status, headers, got = ask(
        site, "/v1/features/triage", "bad and worse, sk-proj-abcdefghijklmnopqrstuvwxyz0123"
    )
    assert (status, got["status"], headers["location"]) == (202, "escalated", got["poll"])
    assert got["due_at"] == pytest.approx(time.time() + 7200, abs=60)
    status, headers, waiting = ask(site, got["poll"])
    assert (status, waiting["status"], headers["retry-after"]) == (202, "open", "30")
    review = site.records.reviews.get(got["review"])
    assert (review.kind, review.feature, review.subject["group"]) == ("escalation", "triage", "support")
    assert "bad and worse" in review.subject["input"]
    assert "abcdefghijklmnopqrstuvwxyz" not in json.dumps(review.subject), (
        "secrets are no reviewer's business"
    )
    assert "no model today" in review.subject["error"]
    with pytest.raises(UsageError, match="waits for an answer"):
        reviews.resolve(site.records, settings(site), review.id, "answered", "ann")
    reviews.resolve(site.records, settings(site), review.id, "answered", "ann", correction={"queue": "ann"})
    status, _, done = ask(site, got["poll"])
    assert (status, done["status"], done["output"]) == (200, "answered", {"queue": "ann"})
    assert not (site.root / "must.jsonl").exists(), "without consent it is an answer and no case"
    assert ask(site, "/v1/escalations/v-none")[0] == 404


def test_declined_says_so_and_consent_makes_a_case(start: Callable[..., Site]) -> None:
    site = start(prepare=project("person:support"))
    polls = [ask(site, "/v1/features/triage", f"bad {i}")[2] for i in range(2)]
    reviews.resolve(site.records, settings(site), polls[0]["review"], "declined", "ann")
    assert ask(site, polls[0]["poll"])[2]["status"] == "declined"
    done = reviews.resolve(
        site.records, settings(site), polls[1]["review"], "answered", "ann",
        correction={"queue": "x"}, consent="not_needed",
    )  # fmt: skip
    assert done.case is not None
    assert done.case.added


def test_an_escalation_is_told_once_and_once_more_when_it_is_overdue(start: Callable[..., Site]) -> None:
    site = start(prepare=project("person:support", ", answer_within: 0.05 s"))
    review = ask(site, "/v1/features/triage", "bad")[2]["review"]
    assert [row.event for row in site.records.notifications.of(review)] == ["escalated"]
    time.sleep(0.06)
    assert ask(site, f"/v1/escalations/{review}")[2]["status"] == "overdue"
    assert [row.id for row in site.records.reviews.tell_overdue()] == [review]
    assert site.records.reviews.tell_overdue() == ()
    assert [row.event for row in site.records.notifications.of(review)] == ["escalated", "overdue"]


def test_another_key_does_not_read_the_answer(start: Callable[..., Site]) -> None:
    site = start(prepare=project("person:support"), key="owner-key")
    mine, theirs = (site.records.keys.create(name, Limits())[1] for name in ("mine", "theirs"))
    site.run(site.access.exchange())
    got = ask(site, "/v1/features/triage", "bad", mine)[2]
    assert ask(site, got["poll"], key=mine)[0] == 202
    assert ask(site, got["poll"], key="owner-key")[0] == 202
    assert ask(site, got["poll"], key=theirs)[0] == 404
    assert ask(site, got["poll"][:-3], key=mine)[0] == 404
    assert ask(site, got["poll"])[0] == 401


def test_a_chat_gets_words_and_the_place_of_the_answer(start: Callable[..., Site]) -> None:
    site = start(prepare=project("person:support"))
    body = {"model": "triage", "messages": [{"role": "user", "content": "bad"}]}
    status, headers, got = ask(site, "/v1/chat/completions", body)
    assert status == 202
    assert headers["location"] in got["choices"][0]["message"]["content"]
    assert ask(site, headers["location"])[2]["status"] == "open"


def test_where_all_fail_the_first_failure_is_told(start: Callable[..., Site]) -> None:
    site = start(prepare=project("rules"))
    status, _, got = ask(site, "/v1/features/triage", "bad and worse")
    assert (status, got["error"]["code"]) == (500, "feature")
    status, _, got = ask(site, "/v1/features/triage?variant=rules", "bad and worse")
    assert status == 500, "a rung is not asked after itself"


@pytest.mark.parametrize(("rung", "failed"), [("", False), ("rules", True), ("person:support", True)])
def test_in_a_rollout_help_from_below_is_a_failure_of_the_arm(rung: str, failed: bool) -> None:
    record = Record(ids_of(None, b"key"), time.time_ns(), "/v1/features/triage", "feature", rung=rung)
    record.assigned = Assigned("o-1", "canary", 0.5, "unit", time.monotonic())
    row = exposure(record)
    assert row is not None
    assert row.failed is failed


MODEL = """\
feature: chat
variants: {first: {model: "openai:gpt-x"}, code: {run: "chat:code"}}
baseline: first
cases: cases.jsonl
checks: {right: {score: exact, at_least: 50%}}
ship: {fallback: ["openai:gpt-y", code]}
"""


def chat(folder: Path) -> None:
    (folder / "spec.yaml").write_text(MODEL)
    (folder / "chat.py").write_text("def code(text):\n    return 'code says: ' + text\n")
    (folder / "cases.jsonl").write_text('{"input": "a", "expected": "a"}\n')


def test_a_model_is_followed_by_another_and_then_by_code(
    start: Callable[..., Site], provider: Provider
) -> None:
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
    no, yes = (
        whole(b'{"error": {"message": "down"}}', 400 + 29, extra="Retry-After: 60\r\n"),
        whole(json.dumps(ANSWER).encode()),
    )
    provider.plays = [no, yes]
    site = start(prepare=chat)
    status, headers, got = ask(site, "/v1/chat/completions", body)
    assert (status, got["choices"][0]["message"]["content"]) == (200, "hi")
    assert [json.loads(each.body)["model"] for each in provider.received] == ["gpt-x", "gpt-y"]
    (root,) = site.spans(headers["x-trace-id"])
    assert root.attributes[names.RUNG] == "openai:gpt-y"
    provider.plays = [no]
    status, headers, got = ask(site, "/v1/chat/completions", body)
    assert (status, got["choices"][0]["message"]["content"]) == (200, "code says: hi")
    root = next(span for span in site.spans(headers["x-trace-id"]) if span.operation == "feature")
    assert (root.attributes[names.RUNG], root.error) == ("code", None)


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ("ruls", "Did you mean 'rules'"),
        ('"person:"', "names nobody"),
        ("person:support, rules", "nobody is asked after"),
    ],
)
def test_a_chain_that_makes_no_sense_is_refused(tmp_path: Path, chain: str, said: str) -> None:
    project(chain)(tmp_path)
    with pytest.raises(SpecError) as raised:
        specs.load(tmp_path)
    assert said in str(raised.value)
