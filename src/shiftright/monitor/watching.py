"""Watches what is stored: traces that are finished are scored on a thread of its own, when nobody waits for them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from shiftright import spec as specs
from shiftright.core.spec import Spec
from shiftright.core.trace import SpanRow
from shiftright.errors import Error
from shiftright.monitor import drift
from shiftright.monitor.board import DAY, Board, board
from shiftright.monitor.checks import LiveScoring, digest_of_checks, live_scoring
from shiftright.monitor.sampling import DEFAULT_SAMPLE, drawn
from shiftright.monitor.scoring import Finished, Scorekeeper
from shiftright.monitor.violations import open_violations
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.store.telemetry import TelemetryStore
from shiftright.tracing import attributes as names

_log = logging.getLogger("shiftright.monitor")

AT_ONCE = 64
REMEMBERED = 20_000
REPORT_S = 60.0
REST = 4.0
"""Seconds of rest per second of this thread's own work: it takes at most a fifth of a core from those who serve."""
LONGEST_REST_S = 1.0


class Monitor:
    """Scores live traffic by the contracts under the project's root.

    ``listen`` is called with stored spans (``Intake.listen``) and never waits: at most ``largest`` traces are queued,
    further ones are ``skipped``. Contracts are read again, complaints and violations looked for, every ``look_s``.

    Args:
        reported: told, about once a minute, how each feature stood in the last 24 hours.
        contracts_changed: told of the contracts whenever they were read.
    """

    def __init__(
        self,
        settings: Settings,
        records: Records,
        telemetry: TelemetryStore,
        *,
        largest: int = 2_000,
        look_s: float = 15.0,
        contracts_changed: Callable[[Sequence[Spec]], None] | None = None,
        reported: Callable[[Board], None] | None = None,
    ) -> None:
        self._settings, self._records, self._telemetry = settings, records, telemetry
        self._largest, self._look_s, self._told = largest, look_s, contracts_changed
        self._reported, self._report_at = reported, 0.0
        self._keeper = Scorekeeper(records, telemetry)
        self._waiting: deque[Finished] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._specs: dict[str, Spec] = {}
        self._scorings: dict[str, LiveScoring] = {}
        self._stamps: dict[Path, float] = {}
        self._active: set[str] = set()
        # a gateway's request may be part of a trace whose own root is stored later: one exchange, one score
        self._recent: dict[str, None] = {}
        self._last_feedback = ""
        self.skipped = 0
        """Finished traces that were not scored because too many waited."""
        self.scored = 0
        self._thread = threading.Thread(target=self._run, name="shiftright-monitor", daemon=True)

    def start(self) -> None:
        self._read_contracts()
        self._last_feedback = next((row.id for row in self._records.feedback.list(limit=1).data), "")
        self._thread.start()

    def close(self) -> None:
        """Stop. What waits is left: a restart must not take as long as a judge does."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @property
    def paused(self) -> dict[str, str]:
        """Why a feature's traces are not judged now, by feature: the month's budget is spent."""
        return dict(self._keeper.paused)

    @property
    def failing(self) -> dict[tuple[str, str], str]:
        """Why a check scores nothing, by feature and check: its judge cannot be asked."""
        return dict(self._keeper.failing)

    def listen(self, spans: Sequence[SpanRow]) -> None:
        """Queue the traces among these that are finished and of a feature under contract. Never blocks."""
        if not self._specs:
            return
        ends = [
            (feature, span) for span in spans if (feature := _feature(span)) in self._specs and _is_end(span)
        ]
        if not ends:
            return
        parts: dict[str, list[SpanRow]] = {end.trace_id: [] for _, end in ends}
        for span in spans:
            if (found := parts.get(span.trace_id)) is not None:
                found.append(span)
        with self._changed:
            for feature, end in ends:
                self._active.add(feature)
                if end.trace_id in self._recent:
                    continue
                self._recent[end.trace_id] = None
                if len(self._recent) > REMEMBERED:
                    del self._recent[next(iter(self._recent))]
                if len(self._waiting) >= self._largest:
                    self.skipped += 1
                    continue
                share = float(self._specs[feature].live.get("sample", DEFAULT_SAMPLE))
                # a copy is judged where its original is; else few pairs would have two scores
                pair = str(end.attributes.get(names.UNIT, "")) if names.SHADOW_OF in end.attributes else ""
                self._waiting.append(
                    Finished(
                        feature,
                        end.trace_id,
                        tuple(parts[end.trace_id]),
                        drawn(pair or end.trace_id, share),
                        rollout=names.ROLLOUT in end.attributes,
                        shadow=names.SHADOW_OF in end.attributes,
                    )
                )
            self._changed.notify()

    def _run(self) -> None:
        asyncio.run(self._work())

    async def _work(self) -> None:
        look_at = time.monotonic()
        while not self._closing:
            if time.monotonic() >= look_at:
                self._guarded(self._look)
                self._guarded(self._report)
                look_at = time.monotonic() + self._look_s
            batch = self._next(min(0.5, self._look_s))
            if not batch:
                continue
            began = time.thread_time()
            await self._score(batch)
            busy = time.thread_time() - began
            with self._changed:
                self._changed.wait_for(lambda: self._closing, timeout=min(REST * busy, LONGEST_REST_S))

    def _next(self, timeout: float) -> list[Finished]:
        """Blocks this thread, whose event loop serves nobody else."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing, timeout=timeout)
            if self._closing:
                return []
            return [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]

    async def _score(self, batch: list[Finished]) -> None:
        known = [(trace, found) for trace in batch if (found := self._scoring(trace.feature)) is not None]
        try:
            await self._keeper.score(known)
        except Error as error:
            _log.error("%d traces could not be scored: %s", len(known), error)
            return
        self.scored += len(known)

    def _scoring(self, feature: str) -> LiveScoring | None:
        found = self._scorings.get(feature)
        if found is None and (spec := self._specs.get(feature)) is not None:
            found = self._scorings[feature] = live_scoring(spec)
            for name, why in found.without.items():
                _log.info("%s: checks.%s is not scored live: %s", feature, name, why)
        return found

    def _look(self) -> None:
        self._read_contracts()
        self._drop_changed()
        with self._changed:
            active, self._active = self._active, set()
        active |= self._take_complaints()
        for feature in sorted(active):
            if (spec := self._specs.get(feature)) is not None:
                opened = open_violations(spec, self._records, self._telemetry)
                for incident in (*opened, *drift.watch(spec, self._records, self._telemetry)):
                    _log.warning("%s: %s", feature, incident.title)

    def _report(self) -> None:
        if self._reported is None or time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + REPORT_S
        for spec in self._specs.values():
            self._reported(board(spec, self._records, self._telemetry, windows=(("24 h", DAY),)))

    def _take_complaints(self) -> set[str]:
        """Traces that users complain of are scored whether drawn or not; gives the features with new feedback."""
        latest = self._records.feedback.list(limit=200).data
        given = [row for row in latest if row.id > self._last_feedback]
        self._last_feedback = latest[0].id if latest else ""
        with self._changed:
            for row in given:
                room = len(self._waiting) < self._largest
                if room and row.feature in self._specs and row.value is not None and row.value < 0.5:
                    self._waiting.append(Finished(row.feature, row.trace_id, (), False, complaint=True))
        return {row.feature for row in given}

    def _read_contracts(self) -> None:
        """Contracts that changed on disk; one that cannot be read keeps what was known of it."""
        paths = specs.discover(self._settings.root)
        stamps = {path: path.stat().st_mtime for path in paths}
        if stamps == self._stamps:
            return
        found: dict[str, Spec] = {}
        for path in paths:
            try:
                spec = specs.load(path)
            except Error as error:
                _log.warning("a contract cannot be read: %s", error)
                found |= {name: known for name, known in self._specs.items() if known.path == path}
                continue
            found[spec.feature] = spec
        self._stamps, self._specs = stamps, found
        self._scorings.clear()
        self._keeper.failing.clear()
        if self._told is not None:
            self._told(tuple(found.values()))

    def _drop_changed(self) -> None:
        """Scorers whose rubric, schema or code is another now are built anew when they are needed next."""
        for name, scoring in list(self._scorings.items()):
            if digest_of_checks(scoring.spec) != scoring.digest:
                _log.info("%s: what its checks measure with has changed and is read again", name)
                del self._scorings[name]
                self._keeper.recovered(name)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (Error, OSError) as error:
            _log.error("live checks were not looked at: %s", error)


def _feature(span: SpanRow) -> str:
    """Whose contract speaks of it."""
    return span.feature or str(span.attributes.get(names.SHADOW_OF, ""))


def _is_end(span: SpanRow) -> bool:
    """Is it the span that ends an exchange: a call of a feature, a root, or a request to a gateway (whose caller may
    have a span above it)?"""
    return span.operation == "feature" or not span.parent_span_id or names.URL_PATH in span.attributes
