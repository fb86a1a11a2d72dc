"""Channels over real sockets: a loopback HTTP server and a loopback SMTP server."""

from __future__ import annotations

import base64
import email
import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import Iterator
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from live_project import Live

from shiftright.core.incident import Notice
from shiftright.errors import NotifierError, SpecError
from shiftright.monitor import incidents
from shiftright.monitor.channels import channels
from shiftright.monitor.telling import ATTEMPTS, Telling, wait_after


class Web(ThreadingHTTPServer):
    """Keeps what is posted; answers ``status``."""

    def __init__(self) -> None:
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), Posted)


class Posted(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Web)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posted.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


class Post(socketserver.ThreadingTCPServer):
    """As much of SMTP as a client needs to send."""

    allow_reuse_address = True

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.said: list[str] = []
        super().__init__(("127.0.0.1", 0), Mailed)


class Mailed(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Post)
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.strip().upper()
            self.server.said.append(line.decode().strip())
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (part := self.rfile.readline()) != b".\r\n":
                    lines.append(part)
                self.server.mails.append(b"".join(lines))
            elif word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 well\r\n")


@pytest.fixture
def web() -> Iterator[Web]:
    yield from serving(Web())


@pytest.fixture
def post() -> Iterator[Post]:
    yield from serving(Post())


def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def configured(live: Live, text: str, **environment: str) -> Telling:
    (live.folder / "shiftright.yaml").write_text(text)
    return Telling(live.records, channels(live.folder, environment))


def opened(live: Live) -> str:
    subject = {"traces": ["a" * 32], "reason": "below"}
    return live.records.incidents.open(
        "check", "triage", "right", "right: below 70%", subject, owner="ann"
    ).id


def test_a_webhook_is_signed_and_has_the_whole_incident(live: Live, web: Web) -> None:
    telling = configured(
        live,
        f'notify: {{ops: {{webhook: "http://127.0.0.1:{web.server_port}/hook", secret_env: OPS}}}}',
        OPS="s3cret",
    )
    incident = opened(live)
    telling.tell()
    telling.tell()
    ((headers, body),) = web.posted
    told = json.loads(body)
    assert (told["event"], told["about"], told["incident"]["owner"]) == ("opened", incident, "ann")
    assert told["incident"]["subject"]["traces"] == ["a" * 32]
    assert headers["webhook-id"] == told["id"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(b"s3cret", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{digest}"
    incidents.close(live.records, live.settings, incident, "ann", no_case="noise")
    telling.tell()
    assert json.loads(web.posted[1][1])["event"] == "closed"
    assert "ops was told that it is opened" in live.records.incidents.get(incident).postmortem


def test_slack_gets_text_that_mentions_nobody(live: Live, web: Web) -> None:
    telling = configured(
        live, "notify: {chat: {slack_env: HOOK}}", HOOK=f"http://127.0.0.1:{web.server_port}/services/T/B/x"
    )
    live.records.incidents.open("check", "triage", "right", "<!channel> & *below*", {})
    telling.tell()
    told = json.loads(web.posted[0][1])
    assert told["blocks"][0]["text"]["type"] == "mrkdwn"
    assert "&lt;!channel&gt; &amp;" in told["text"]
    assert "*below*" not in told["text"]


def test_mail_goes_out_with_a_lasting_id(live: Live, post: Post) -> None:
    port = post.server_address[1]
    telling = configured(
        live, f"notify: {{mail: {{smtp: 127.0.0.1:{port}, to: [ops@example.com], from: bot@example.com}}}}"
    )
    live.records.incidents.open("check", "triage", "right", "right: below\r\nBcc: all@example.com", {})
    telling.tell()
    (mail,) = post.mails
    message = email.message_from_bytes(mail, policy=default)
    assert message["To"] == "ops@example.com"
    assert message["Bcc"] is None
    assert message["Subject"] == "triage: right: below Bcc: all@example.com"
    (row,) = live.records.notifications.of(live.records.incidents.list()[0].id)
    assert message["Message-ID"] == f"<{row.id}@shiftright>"
    assert "shiftright incident i-" in message.get_content()
    assert not any(line.upper().startswith("AUTH") for line in post.said)


def test_what_fails_is_tried_again_and_then_given_up(
    live: Live, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    web.status = 503
    address = f"http://127.0.0.1:{web.server_port}/token-in-the-path"
    telling = configured(live, f'notify: {{ops: {{webhook: "{address}"}}}}')
    incident = opened(live)
    telling.tell()
    (row,) = live.records.notifications.of(incident)
    assert (row.status, row.attempts, row.error) == ("waiting", 1, "127.0.0.1 answered 503")
    assert row.due_at > row.created_at + 4
    telling.tell()
    assert len(web.posted) == 1, "it is not due"
    assert [wait_after(n) for n in (1, 2, ATTEMPTS - 1, ATTEMPTS)] == [5.0, 20.0, 3600.0, None]
    for _ in range(ATTEMPTS):
        live.records.notifications.failed(row, "503", again_in_s=wait_after(row.attempts + 1))
        (row,) = live.records.notifications.of(incident)
    assert (row.status, row.attempts) == ("failed", ATTEMPTS + 1)
    assert "token-in-the-path" not in caplog.text


def test_a_channel_that_is_down_holds_up_no_other(live: Live, web: Web) -> None:
    telling = configured(
        live,
        f'notify:\n  gone: {{webhook: "http://127.0.0.1:1/x"}}\n'
        f'  ops: {{webhook: "http://127.0.0.1:{web.server_port}/"}}\n',
    )
    incident = opened(live)
    telling.tell()
    assert {row.channel: row.status for row in live.records.notifications.of(incident)} == {
        "gone": "waiting",
        "ops": "sent",
    }


def test_one_process_sends_and_the_next_goes_on(live: Live, web: Web) -> None:
    text = f'notify: {{ops: {{webhook: "http://127.0.0.1:{web.server_port}/"}}}}'
    first, second = configured(live, text), configured(live, text)
    opened(live)
    first.tell()
    live.records.incidents.open("check", "triage", "polite", "below", {})
    second.tell()
    assert len(web.posted) == 1, "the lease is the first one's"
    first.close()
    second.tell()
    assert len(web.posted) == 2


def test_nobody_to_tell_is_no_queue(live: Live) -> None:
    incident = opened(live)
    Telling(live.records, {}).tell()
    assert live.records.notifications.of(incident) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("notify: ops", "notify is not a mapping"),
        ("notify: {ops: {}}", "has to say one of: slack, smtp, webhook"),
        ("notify: {ops: {webhook: ftp://x}}", "no http"),
        ('notify: {ops: {webhook: "http://x", more: 1}}', "unknown key 'more'"),
        ("notify: {ops: {slack_env: NOT_SET}}", "NOT_SET is not set"),
        ("notify: {ops: {smtp: mail, to: []}}", "no address under"),
        ('notify: {ops: {smtp: "mail:x", to: [a@b.c]}}', "is no port"),
        ("notify: {ops: {smtp: mail, to: [nobody]}}", "is no e-mail address"),
    ],
)
def test_a_channel_that_cannot_be_used_says_where(live: Live, text: str, said: str) -> None:
    (live.folder / "shiftright.yaml").write_text(text)
    with pytest.raises(SpecError, match=said) as raised:
        channels(live.folder, {})
    assert raised.value.line == 1


def test_a_password_is_not_sent_in_the_clear(live: Live, monkeypatch: pytest.MonkeyPatch, post: Post) -> None:
    import shiftright.monitor.mail as mail

    # every address a test can reach is loopback, which is trusted
    monkeypatch.setattr(mail, "is_loopback", lambda host: False)
    keys = {"smtp": f"127.0.0.1:{post.server_address[1]}", "to": ["a@b.c"], "user": "u", "password": "p"}
    notice = Notice(
        id="n-1", event="opened", feature="triage", about="i-1", title="t", lines=(), see="s", at=0.0
    )
    with pytest.raises(NotifierError, match="offers no TLS"):
        mail.Mail(keys).notify(notice)
    assert not any("AUTH" in line.upper() for line in post.said)
