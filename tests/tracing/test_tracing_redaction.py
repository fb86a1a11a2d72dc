from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright.core.trace import SpanRow
from shiftright.tracing.redaction import Redaction, kinds_of_project

ALL = Redaction(["email", "phone", "card", "iban"])
SECRETS = Redaction()
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nabc\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("key sk-proj-abcdEFGH1234567890_- ok", "key [secret] ok"),
        ("sk-ant-api03-AAAAAAAAAAAAAAAAAAAA", "[secret]"),
        ("ghp_" + "a1" * 18, "[secret]"),
        ("AKIAIOSFODNN7EXAMPLE.", "[secret]."),
        ("Authorization: Bearer abcdefghij0123456789", "Authorization: Bearer [secret]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[secret]"),
        ("postgresql://ann:hunter2@db/x", "postgresql://[secret]@db/x"),
        (f"a {KEY} b", "a [secret] b"),
        (KEY[:50], "[secret]"),
        ("xoxb-123456789012-abcdef", "[secret]"),
    ],
)
def test_secrets_always_go(text: str, without: str) -> None:
    assert SECRETS.text(text) == without


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("write to ann.lee+x@mail.example.co.uk.", "write to [email]."),
        ("card 4111 1111 1111 1111, please", "card [card], please"),
        ("5500005555555559", "[card]"),
        ("3782-822463-10005", "[card]"),
        ("IBAN DE89 3704 0044 0532 0130 00 is mine", "IBAN [iban] is mine"),
        ("GB82WEST12345698765432", "[iban]"),
        ("call +49 30 1234567 or (555) 123-4567", "call [phone] or [phone]"),
        ("+1-202-555-0143", "[phone]"),
    ],
)
def test_what_is_a_persons_goes_where_it_is_asked_for(text: str, without: str) -> None:
    assert ALL.text(text) == without
    assert SECRETS.text(text) is text


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # fails Luhn
        "1763842000000000000 ns",
        "order 1234567890, 12.5 kg",
        "DE00 3704 0044 0532 0130 00",
        "the task-force asked",
        "sk-short",
        "a@b",
        "2026-11-22T10:00:00Z",
        "550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_what_only_looks_alike_stays(text: str) -> None:
    assert ALL.text(text) is text


def test_json_stays_json() -> None:
    given = json.dumps(
        {"card": 4111111111111111, "at": 1763842000000000000, "key": KEY, "to": "ann@example.com"}
    )
    told = json.loads(ALL.json_or_text(given))
    assert told == {"card": "[card]", "at": 1763842000000000000, "key": "[secret]", "to": "[email]"}
    assert ALL.json_or_text('{"a": 1}') == '{"a": 1}', "nothing found: byte for byte"


def test_a_span_is_changed_in_place_with_all_its_attributes() -> None:
    span = SpanRow(
        trace_id="a" * 32,
        span_id="b" * 16,
        name="chat",
        start_ns=0,
        end_ns=1,
        input='[{"role":"user","content":"I am ann@example.com"}]',
        output="4111 1111 1111 1111",
        error="401: sk-abcdefghijklmnopqrstu is no key",
        attributes={
            "http.request.header.authorization": "Basic YW5uOng=",
            "deep": [{"to": "ann@example.com"}],
        },
    )
    ALL.prepare([span])
    assert json.loads(span.input) == [{"role": "user", "content": "I am [email]"}]
    assert span.output == "[card]"
    assert span.error == "401: [secret] is no key"
    assert span.attributes == {"http.request.header.authorization": "[secret]", "deep": [{"to": "[email]"}]}
    assert span.trace_id == "a" * 32


@given(st.text(max_size=200))
def test_what_is_redacted_once_is_done(text: str) -> None:
    once = ALL.text(text)
    assert ALL.text(once) == once


@pytest.mark.parametrize(
    "unit",
    [
        "eyJ",
        "a@",
        "sk-",
        "4111 ",
        "+1 ",
        "DE89 ",
        "x@y.",
        "://a:",
        "1-",
        "-----BEGIN PRIVATE KEY-----",
        "Bearer ",
        "AB12",
    ],
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (400_000 // len(unit))
    began = time.thread_time()
    ALL.json_or_text(text)
    assert time.thread_time() - began < 2.0


def test_one_contract_that_asks_speaks_for_the_project(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cases.jsonl").write_text('{"input": 1, "expected": 1}\n')
    (tmp_path / "a" / "spec.yaml").write_text(
        "feature: a\nrun: a:a\ncases: cases.jsonl\nchecks: {right: {score: exact, at_least: 70%}}\n"
        "data: {redact: [email]}\n"
    )
    (tmp_path / "shiftright.yaml").write_text("data: {redact: [card]}\n")
    assert kinds_of_project(tmp_path) == {"email", "card"}
