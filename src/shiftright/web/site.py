"""What the API and the pages work on, handed down by whoever serves them."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.tracing.redaction import Redaction
from shiftright.web.kept import Kept

if TYPE_CHECKING:
    from shiftright.monitor.board import Board
    from shiftright.monitor.watching import Monitor
    from shiftright.store.intake import Intake
    from shiftright.store.telemetry import TelemetryStore
    from shiftright.tracing.export import Exporter

_RANDOM = secrets.token_bytes(32)


class Watch(msgspec.Struct, eq=False):
    """What follows live traffic in this process, from when it has begun; None where nothing does."""

    monitor: Monitor | None = None
    exporter: Exporter | None = None
    unrecorded: Callable[[], int] | None = None
    """Requests of rollouts that are in no record."""


class Site(msgspec.Struct, frozen=True, eq=False):
    """One project, served.

    ``key`` opens the pages and the API; without one they answer to loopback names only. ``intake`` takes the spans of
    calls that are made here. ``redaction`` cleans what users write. ``watch`` and ``live`` are what
    follows the traffic, and how it stood lately. ``started`` is seconds since 1970.
    """

    settings: Settings
    records: Records
    telemetry: TelemetryStore
    intake: Intake
    key: str | None = None
    redaction: Redaction = msgspec.field(default_factory=Redaction)
    watch: Watch = msgspec.field(default_factory=Watch)
    live: Kept[Board] = msgspec.field(default_factory=Kept)
    started: float = msgspec.field(default_factory=time.time)

    @property
    def secret(self) -> bytes:
        """Signs sessions and forms: the same in every process with this key, so that any of them can answer."""
        return _RANDOM if self.key is None else hashlib.sha256(f"pages\n{self.key}".encode()).digest()
