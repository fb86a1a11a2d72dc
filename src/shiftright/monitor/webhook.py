"""Notices over HTTP: as JSON, signed as Standard Webhooks says, or in the shape that Slack's incoming webhooks take."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from shiftright.core.incident import Notice
from shiftright.errors import NotifierError

if TYPE_CHECKING:
    from pyreqwest.client import SyncClient

_TIMEOUT_S = 10.0
_LONGEST_LINE = 500
_LONGEST_BLOCK = 2_900  # Slack takes 3,000 characters
_STANDARD = "whsec_"


class Webhook:
    """``{webhook: URL, secret_env: NAME}``: the notice as JSON, with ``webhook-id``, ``webhook-timestamp`` and, where a
    secret is named, ``webhook-signature`` (standardwebhooks.com: HMAC-SHA256 over id, timestamp and body)."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        self._url = _address(keys["webhook"])
        _only(keys, {"webhook", "secret"})
        secret = str(keys.get("secret", ""))
        if secret.startswith(_STANDARD):
            self._secret = base64.b64decode(secret.removeprefix(_STANDARD), validate=True)
        else:
            self._secret = secret.encode()

    def notify(self, notice: Notice) -> None:
        body = msgspec.json.encode(notice)
        at = str(int(time.time()))
        headers = {"webhook-id": notice.id, "webhook-timestamp": at}
        if self._secret:
            signed = f"{notice.id}.{at}.".encode() + body
            digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        _post(self._url, body, headers)


class Slack:
    """``{slack: URL}``: text with one block, as Slack and those that copy its incoming webhooks take it."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        self._url = _address(keys["slack"])
        _only(keys, {"slack"})

    def notify(self, notice: Notice) -> None:
        lines = (f"*{_plain(notice.title)}*", *map(_plain, notice.lines), f"`{_plain(notice.see)}`")
        text = "\n".join(lines)[:_LONGEST_BLOCK]
        block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
        _post(self._url, msgspec.json.encode({"text": text, "blocks": [block]}), {"webhook-id": notice.id})


def _plain(text: str) -> str:
    """Nothing in it mentions anybody, links or formats: Slack's three escapes, and its marks made harmless."""
    text = text[:_LONGEST_LINE].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "*_~`":
        text = text.replace(mark, f"\u200b{mark}\u200b")
    return text


def _post(url: str, body: bytes, headers: dict[str, str]) -> None:
    from pyreqwest.exceptions import RequestError

    host = urlsplit(url).hostname
    try:
        with _client() as client:
            request = (
                client.post(url).headers({"content-type": "application/json", **headers}).body_bytes(body)
            )
            status = request.build().send().status
    except RequestError as cause:
        # the error's own words have the whole address, which may be a secret
        raise NotifierError(f"{host} does not answer ({type(cause).__name__})") from None
    if not 200 <= status < 300:
        raise NotifierError(f"{host} answered {status}")


def _client() -> SyncClient:
    from pyreqwest.client import SyncClientBuilder

    # a redirect would carry the message to another host than the file names
    return SyncClientBuilder().follow_redirects(False).timeout(timedelta(seconds=_TIMEOUT_S)).build()


def _address(url: Any) -> str:
    if not isinstance(url, str) or not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
        raise ValueError("it has no http(s) address")
    return url


def _only(keys: Mapping[str, Any], known: set[str]) -> None:
    if more := sorted(set(keys) - known):
        raise ValueError(f"unknown key {more[0]!r}")
