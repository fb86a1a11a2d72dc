"""Notices by e-mail, over SMTP with STARTTLS."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

from shiftright.core.incident import Notice
from shiftright.core.loopback import is_loopback
from shiftright.errors import NotifierError

_TIMEOUT_S = 10.0
_TLS_FROM_THE_START = 465
_USUAL_PORT = 587
_LONGEST_SUBJECT = 200
_KNOWN = {"smtp", "to", "from", "user", "password"}


class Mail:
    """``{smtp: host:port, to: [address], from: address, user: name, password_env: NAME}``: plain text. Port 465 speaks
    TLS from the start, every other by STARTTLS where the server offers it; a password is never sent without TLS."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        if more := sorted(set(keys) - _KNOWN):
            raise ValueError(f"unknown key {more[0]!r}")
        host, colon, port = str(keys["smtp"]).rpartition(":")
        if colon and not port.isdecimal():
            raise ValueError(f"{port!r} is no port; write host:port")
        self._host = host if colon else port
        self._port = int(port) if colon else _USUAL_PORT
        to = keys.get("to")
        to = [to] if isinstance(to, str) else to
        if not isinstance(to, list) or not to:
            raise ValueError("it has no address under `to`")
        self._to = [_address(each) for each in to]
        self._from = _address(keys.get("from", to[0]))
        self._user, self._password = str(keys.get("user", "")), str(keys.get("password", ""))

    def notify(self, notice: Notice) -> None:
        message = EmailMessage()
        message["From"] = self._from
        message["To"] = self._to
        message["Subject"] = " ".join(notice.title.split())[:_LONGEST_SUBJECT]
        message["Date"] = formatdate()
        # the same at every attempt: a mail program shows it once
        message["Message-ID"] = f"<{notice.id}@shiftright>"
        message.set_content("\n".join((*notice.lines, "", notice.see, "")))
        try:
            self._send(message)
        except (smtplib.SMTPException, OSError) as cause:
            raise NotifierError(f"{self._host}:{self._port}: {cause}") from None

    def _send(self, message: EmailMessage) -> None:
        context = ssl.create_default_context()
        if self._port == _TLS_FROM_THE_START:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=_TIMEOUT_S, context=context
            )
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT_S)
        with server:
            server.ehlo()
            secure = self._port == _TLS_FROM_THE_START
            if not secure and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
                secure = True
            if self._user:
                if not secure and not is_loopback(self._host):
                    raise NotifierError(
                        f"{self._host}:{self._port} offers no TLS, and a password is not sent without it"
                    )
                server.login(self._user, self._password)
            server.send_message(message)


def _address(text: Any) -> Address:
    try:
        return Address(addr_spec=str(text))
    except Exception as cause:  # the parser trips over some texts with an AttributeError of its own
        raise ValueError(f"{text!r} is no e-mail address") from cause
