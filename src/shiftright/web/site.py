"""What the API and the pages work on, handed down by whoever serves them."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import TYPE_CHECKING

import msgspec

from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.tracing.redaction import Redaction

if TYPE_CHECKING:
    from shiftright.store.intake import Intake
    from shiftright.store.telemetry import TelemetryStore

_RANDOM = secrets.token_bytes(32)


class Site(msgspec.Struct, frozen=True, eq=False):
    """One project, served.

    ``key`` opens the pages and the API; without one they answer to loopback names only. ``intake`` takes the spans of
    calls that are made here. ``redaction`` cleans what users write. ``started`` is seconds since 1970.
    """

    settings: Settings
    records: Records
    telemetry: TelemetryStore
    intake: Intake
    key: str | None = None
    redaction: Redaction = msgspec.field(default_factory=Redaction)
    started: float = msgspec.field(default_factory=time.time)

    @property
    def secret(self) -> bytes:
        """Signs sessions and forms: the same in every process with this key, so that any of them can answer."""
        return _RANDOM if self.key is None else hashlib.sha256(f"pages\n{self.key}".encode()).digest()
