"""One trace, one user or one session forgotten: spans, and what was written about them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from shiftright.core.trace import Erasable
from shiftright.errors import UsageError
from shiftright.store import Records
from shiftright.store.telemetry import TelemetryStore
from shiftright.store.texts import Forgotten

STAYS = (
    "values and choices without their texts, verdicts, sums of money, cases in files, "
    "and what was exported or sent on over OTLP"
)
_TRACE = re.compile("[0-9a-f]{32}")


class Erased(msgspec.Struct, frozen=True):
    """How many traces and spans are gone, and how many rows about them lost their texts."""

    traces: int
    spans: int
    texts: Forgotten


def erase(telemetry: TelemetryStore, records: Records, what: Erasable, names: Iterable[str]) -> Erased:
    """Forget for good. Spans that arrive afterwards are kept as any others. Blocks on the stores.

    Args:
        names: of the one trace, user or session; several where it is stored under several (an address and its hash).

    Raises:
        UsageError: for what is no id of a trace, and an empty name.
        StoreError: a store cannot be written; the same call again goes on from there.
    """
    wanted = sorted({name for name in names if name})
    if not wanted:
        raise UsageError(f"which {what}?", hint="Its name is empty.")
    if what == "trace" and not all(map(_TRACE.fullmatch, wanted)):
        raise UsageError(
            f"{wanted[0][:80]!r} is no id of a trace", hint="It has 32 hex digits: shiftright traces --json"
        )
    spans = 0
    traces: set[str] = set(wanted) if what == "trace" else set()
    found: set[str] = set()
    for name in wanted:
        found.update(telemetry.traces_of(what, name))
    # texts first: while spans are there, a call that was cut off finds again what it has to forget
    texts = records.texts.forget_traces(sorted(traces | found))
    if what == "user":
        texts += records.texts.forget_user(wanted)
    for name in wanted:
        spans += telemetry.erase(what, name)
    return Erased(len(found), spans, texts)
