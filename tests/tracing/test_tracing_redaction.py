from __future__ import annotations

import json
import re
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright.core.trace import SpanRow
from shiftright.errors import SpecError
from shiftright.store.secret import kept_secret
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


KEYED = "sk-abcdefghijklmnop1234567890"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"my key:\n{KEYED}", "my key:\n[secret]"),
        (f"\t{KEYED}", "\t[secret]"),
        (f"\u201c{KEYED}\u201d", "\u201c[secret]\u201d"),
        ("x\nAKIAIOSFODNN7EXAMPLE", "x\n[secret]"),
        ("x\nBearer abcdefghijklmnop1234", "x\nBearer [secret]"),
        ("call\n555-123-4567", "call\n[phone]"),
        ("x\nDE89370400440532013000", "x\n[iban]"),
    ],
)
def test_an_escape_of_json_hides_nothing(said: str, kept: str) -> None:
    text = json.dumps([{"content": said}])
    assert json.loads(ALL.json_or_text(text)) == [{"content": kept}]
    arguments = json.dumps([{"arguments": text}])
    assert json.loads(json.loads(ALL.json_or_text(arguments))[0]["arguments"]) == [{"content": kept}]
    for unfinished in (text[:-3], f"refused: {text}", arguments[:-3]):
        cleaned = ALL.json_or_text(unfinished)
        assert said.split()[-1].strip("\u201c\u201d") not in cleaned, "cut off, or quoted"


def test_letters_written_as_escapes_are_read() -> None:
    text = (
        json.dumps([{"a": KEYED, "b": "bob@example.com"}]).replace("sk-", "\\u0073k-").replace("@", "\\u0040")
    )
    assert json.loads(ALL.json_or_text(text)) == [{"a": "[secret]", "b": "[email]"}]


def test_keys_are_cleaned_and_stay_apart() -> None:
    text = json.dumps({KEYED: 1, "ann@example.com": 2, "bob@example.com": 3})
    assert json.loads(ALL.json_or_text(text)) == {"[secret]": 1, "[email]": 2, "[email] 3": 3}


def test_a_name_says_that_its_value_is_a_secret() -> None:
    inside = {
        "password": "hunter2",
        "api_key": ["zzz"],
        "db_secret": 1234,
        "secret": {"type": "string"},
        "key": "c",
    }
    kept = {
        "password": "[secret]",
        "api_key": ["[secret]"],
        "db_secret": "[secret]",
        "secret": {"type": "string"},
    }
    assert json.loads(SECRETS.json_or_text(json.dumps(inside))) == kept | {"key": "c"}
    span = SpanRow(trace_id="a" * 32, span_id="b" * 16, name="chat", start_ns=0, end_ns=1)
    span.attributes = {
        "tool": {"password": "hunter2"},
        "arguments": json.dumps({"password": "hunter2", "k": f"\n{KEYED}"}),
    }
    SECRETS.prepare([span])
    assert span.attributes["tool"] == {"password": "[secret]"}
    assert json.loads(span.attributes["arguments"]) == {"password": "[secret]", "k": "\n[secret]"}


def test_json_with_escapes_and_nothing_to_take_out_stays_byte_for_byte() -> None:
    text = json.dumps([{"content": "a\n\u201cb\u201d", "arguments": json.dumps({"key": "c\n"})}], indent=1)
    assert ALL.json_or_text(text) is text


def test_json_nested_beyond_reading_is_cleaned_as_text() -> None:
    text = "[" * 600 + json.dumps(f"\n{KEYED}") + "]" * 600
    for deep in (text, text.replace("[", '{"a":').replace("]", "}")):
        assert KEYED not in ALL.json_or_text(deep)
    for _ in range(8):
        text = json.dumps([text])
    assert KEYED not in ALL.json_or_text(text)


def test_users_by_address_are_told_apart_without_it() -> None:
    ids = {"trace_id": "a" * 32, "span_id": "b" * 16, "name": "chat", "start_ns": 0, "end_ns": 1}
    users = ("ann@example.com", "Ann@example.com", "bob@example.com", "u-17")
    spans = [SpanRow(**ids, user=user, session=f"{user}/1") for user in users]  # type: ignore[arg-type]
    SECRETS.prepare(spans)
    assert [span.user for span in spans] == list(users), "not asked for"
    ALL.prepare(spans)
    ann, again, bob, plain = (span.user for span in spans)
    assert re.fullmatch(r"\[email:[0-9a-f]{16}\]", ann)
    assert ann == again != bob
    assert plain == "u-17"
    assert [span.session for span in spans] == [f"{span.user}/1" for span in spans]
    ALL.prepare(spans)
    assert spans[0].user == ann, "redacted once is done"


def test_only_a_project_knows_its_hashes(tmp_path: Path) -> None:
    keys = [kept_secret(tmp_path / name / "names.key") for name in ("one", "one", "other")]
    hashes = [Redaction(["email"], key).who("ann@example.com") for key in keys]
    assert hashes[0] == hashes[1] != hashes[2]
    assert Redaction(["email"]).who("ann@example.com") not in hashes
    assert (tmp_path / "one" / "names.key").stat().st_mode & 0o777 == 0o600


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
        "\\n",
        "\\nsk-",
        '["\\',
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


@pytest.mark.parametrize("kinds", ["[card, street]", "street", "5"])
def test_a_kind_there_is_not_is_told_with_its_line(tmp_path, kinds: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "shiftright.yaml").write_text(f"# ours\ndata: {{redact: {kinds}}}\n")
    with pytest.raises(SpecError, match=r"there is no kind '(street|5)'") as caught:
        kinds_of_project(tmp_path)
    assert caught.value.line == 2


def test_secrets_and_numbers_are_no_names_either() -> None:
    told = Redaction(["phone"], key=b"k" * 32)
    row = SpanRow(
        trace_id="1" * 32, span_id="1" * 16, name="chat", start_ns=1, end_ns=2, user="+49 170 1234567",
        session="sk-proj-ABCDEFGHIJKLMNOPQRSTUVWX", model="sk-proj-ABCDEFGHIJKLMNOPQRSTUVWX",
    )  # fmt: skip
    again = msgspec.structs.replace(row)
    told.prepare([row])
    assert row.user.startswith("[name:")
    assert row.session.startswith("[name:")
    assert row.user != row.session
    assert "ABCDEF" not in row.model
    told.prepare([again])
    assert (again.user, again.session) == (row.user, row.session), "still told apart and found again"
    told.prepare([again])
    assert again.user == row.user
