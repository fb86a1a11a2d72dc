"""Whom to tell: the channels of ``shiftright.yaml``.

notify:
  ops:     {webhook: "https://…", secret_env: OPS_SECRET}    # JSON, signed
  chat:    {slack_env: SLACK_WEBHOOK}                        # a key that ends in _env names a variable
  support: {smtp: mail.example.com:587, to: [support@example.com], user: bot, password_env: MAIL_PASSWORD}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shiftright import plugins
from shiftright.core.seams import Notifier
from shiftright.core.yaml_text import Map, Mark
from shiftright.errors import SpecError
from shiftright.spec import company

_ENV = "_env"
_EXAMPLE = "Write it like notify: {ops: {webhook: URL}}."


def channels(root: Path, environment: Mapping[str, str]) -> dict[str, Notifier]:
    """The project's channels by name, in the file's order; none where it names none.

    Raises:
        SpecError: the file cannot be read, a channel cannot be used, a variable is not set; with the line.
    """
    document = company(root)
    named = document.get("notify")
    if named is None:
        return {}
    if not isinstance(named, Map):
        raise _wrong(document.marks["notify"], "notify is not a mapping of channels")
    return {name: _channel(name, named, environment) for name in named}


def _channel(name: str, named: Map, environment: Mapping[str, str]) -> Notifier:
    mark, body = named.marks[name], named[name]
    if not isinstance(body, Map):
        raise _wrong(mark, f"notify.{name} is not a mapping of keys")
    keys: dict[str, Any] = {}
    for key, value in body.items():
        if not key.endswith(_ENV):
            keys[key] = value
            continue
        keys[key.removesuffix(_ENV)] = environment.get(str(value))
        if not environment.get(str(value)):
            raise _wrong(body.marks[key], f"{value} is not set", f"export {value}=…")
    kinds = [key for key in keys if key in plugins.found("notifiers")]
    if len(kinds) != 1:
        known = ", ".join(sorted(plugins.found("notifiers")))
        raise _wrong(mark, f"notify.{name} has to say one of: {known}")
    try:
        made: Notifier = plugins.load("notifiers", kinds[0])(keys)
    except ValueError as cause:
        raise _wrong(mark, f"notify.{name}: {cause}") from None
    return made


def _wrong(mark: Mark, message: str, hint: str = _EXAMPLE) -> SpecError:
    return SpecError(message, file=mark.file, line=mark.line, hint=hint)
