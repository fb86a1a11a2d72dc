"""How long traces and what people wrote about them are kept: each feature's ``data: {keep}``, the company's, and a
bound on bytes.

``shiftright.yaml`` in the project's root may say

data: {keep: 90 days}                  # traces of no contract, or of one that names no time of its own
telemetry: {keep_bytes: 5000000000}    # all traces together; 20 GB unless set
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from shiftright import spec as specs
from shiftright.core.yaml_text import Map
from shiftright.errors import Error, SpecError
from shiftright.spec.values import duration
from shiftright.store import Records
from shiftright.store.telemetry import TelemetryStore
from shiftright.store.texts import Forgotten

KEEP_BYTES = 20_000_000_000
EVERY_S = 3600.0

_log = logging.getLogger("shiftright.telemetry")


class Retention(msgspec.Struct, frozen=True):
    """``features``: seconds by feature. ``others_s``: seconds that a trace of none of them is kept; None: no such
    limit."""

    features: Mapping[str, float] = {}
    others_s: float | None = None
    keep_bytes: int = KEEP_BYTES


def retention(root: Path) -> Retention:
    """What the contracts under ``root`` and its ``shiftright.yaml`` say.

    Raises:
        SpecError: ``shiftright.yaml`` cannot be read.
    """
    company, keep_bytes = _company(root)
    features: dict[str, float] = {}
    for path in specs.discover(root):
        try:
            spec = specs.load(path)
        except Error as error:
            # It may ask for a longer time, and what is forgotten does not come back.
            _log.warning("how long to keep traces is not known of one contract: %s", error)
            company = None
            continue
        if (keep := spec.data.get("keep")) is not None:
            # of two contracts of one name, the shorter promise
            features[spec.feature] = min(keep, features.get(spec.feature, keep))
    return Retention(features, company, keep_bytes)


def prune(telemetry: TelemetryStore, kept: Retention, now_ns: int) -> int:
    """Forget what is older, then what is too much; returns how many spans. Blocks on the store.

    A trace of several features is forgotten when the first of their times is over.
    """
    forgotten = 0
    for feature, keep_s in kept.features.items():
        forgotten += telemetry.prune(older_than_ns=now_ns - int(keep_s * 1e9), feature=feature)
    edge = None if kept.others_s is None else now_ns - int(kept.others_s * 1e9)
    return forgotten + telemetry.prune(
        older_than_ns=edge, but=tuple(kept.features), keep_bytes=kept.keep_bytes
    )


def prune_texts(records: Records, kept: Retention, now: float) -> Forgotten:
    """Forget what was written about traces as long ago as the traces are kept: comments and corrections of feedback,
    what reviews show and say, explanations of scores. What was decided stays. Blocks on the store."""
    forgotten = Forgotten()
    for feature, keep_s in kept.features.items():
        forgotten += records.texts.forget_before(now - keep_s, feature)
    if kept.others_s is not None:
        forgotten += records.texts.forget_before(now - kept.others_s, but=tuple(kept.features))
    return forgotten


async def keep_pruning(
    root: Path, telemetry: TelemetryStore, records: Records, every_s: float = EVERY_S
) -> None:
    """At once and then every hour, for ever, on a thread; what cannot be done now is tried again."""
    while True:
        try:
            spans, texts = await asyncio.to_thread(_prune_both, root, telemetry, records)
        except (Error, OSError) as error:
            _log.error("old traces could not be forgotten: %s", error)
        else:
            if spans:
                _log.info("%d spans were forgotten: their time was over, or their room was needed", spans)
            if texts:
                _log.info(
                    "texts of %d feedback, %d reviews and %d scores, and %d answers of diffs, were forgotten",
                    texts.feedback, texts.reviews, texts.scores, texts.answers,
                )  # fmt: skip
        await asyncio.sleep(every_s)


def _prune_both(root: Path, telemetry: TelemetryStore, records: Records) -> tuple[int, Forgotten]:
    kept = retention(root)
    return prune(telemetry, kept, time.time_ns()), prune_texts(records, kept, time.time())


def _company(root: Path) -> tuple[float | None, int]:
    """Seconds and bytes."""
    document = specs.company(root)
    data, telemetry = document.get("data"), document.get("telemetry")
    keep = _keep(data) if isinstance(data, Map) and "keep" in data else None
    return keep, _bytes(telemetry) if isinstance(telemetry, Map) else KEEP_BYTES


def _keep(data: Map) -> float:
    try:
        return duration(data["keep"])
    except ValueError as cause:
        mark = data.marks["keep"]
        hint = "Write data: {keep: 30 days}"
        raise SpecError(f"data.keep: {cause}", file=mark.file, line=mark.line, hint=hint) from None


def _bytes(telemetry: Map) -> int:
    for name, value in telemetry.items():
        mark = telemetry.marks[name]
        if name != "keep_bytes":
            message, hint = f"telemetry: unknown key {name!r}", "Known: keep_bytes."
        elif isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            message, hint = "telemetry.keep_bytes is no number of bytes", f"Write keep_bytes: {KEEP_BYTES}"
        else:
            continue
        raise SpecError(message, file=mark.file, line=mark.line, hint=hint)
    return int(telemetry.get("keep_bytes", KEEP_BYTES))
