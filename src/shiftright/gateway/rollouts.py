"""Who gets which release: decided in memory for each request, read from the records and written back behind it."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shiftright.core.rollout import OPEN, Arm, Rollout, assign, unit_id
from shiftright.core.spec import Spec
from shiftright.core.trace import SpanRow
from shiftright.errors import Error
from shiftright.features import LoadedFeature, identity
from shiftright.features.frozen import load_release
from shiftright.gateway.routing import Route, Router
from shiftright.gateway.spans import SERVICE, Assigned, Record
from shiftright.store import Records
from shiftright.store.rows import ExposureRow
from shiftright.tracing import attributes as names

_log = logging.getLogger("shiftright.gateway")
_EVERY_S = 0.5
_LOOK_EVERY_S = 2.0
_LARGEST = 20_000
_UNIT = re.compile(r"[0-9a-f]{24}", re.ASCII)


class Served(msgspec.Struct, frozen=True, gc=False):
    """What a feature's bare name means now. ``release`` is "" where the contract's baseline serves; ``rollout`` is open
    or None, ``share`` its P(canary) and ``canary`` its candidate."""

    route: Route
    release: str
    rollout: Rollout | None = None
    canary: Route | None = None
    share: float = 0.0

    def given(self, unit: str) -> tuple[Arm, Route, str]:
        """What a unit gets: its arm, route and release."""
        rollout, canary = self.rollout, self.canary
        if rollout is not None and canary is not None and assign(rollout.salt, unit, self.share) == "canary":
            return "canary", canary, rollout.candidate
        return "control", self.route, self.release


class _Loaded(msgspec.Struct, frozen=True, eq=False):
    """A release as it is served: under which contract, and the digest of the code it was frozen with."""

    spec: Spec
    route: Route
    feature: LoadedFeature
    code: str


class Rollouts:
    """Open rollouts and stable releases as this process serves them.

    ``refresh`` reads them, on any thread; ``keep_current`` does so for ever and writes what requests were part of. At
    most ``largest`` requests wait to be written, further ones are ``dropped``.
    """

    def __init__(self, router: Router, records: Records, home: Path, *, largest: int = _LARGEST) -> None:
        self._router, self._records, self._home = router, records, home
        self._served: dict[str, Served] = {}
        self._known: object = None
        self._routes: dict[tuple[str, str], _Loaded] = {}
        self._looked_at = 0.0
        self._missing = False
        self._stable: dict[str, str] = {}
        self._head: object = None
        self._waiting: deque[ExposureRow] = deque()
        self._largest = largest
        self._refreshing, self._writing = threading.Lock(), threading.Lock()
        self._failing: dict[str, str] = {}
        self.dropped = 0
        """Requests of rollouts that are in no record: there was no room, or no store."""

    def serve(self, feature: str, record: Record) -> Route | None:
        """The route of a request for a feature, noted in its record; None: as the contract says. Pure but for that."""
        served = self._served.get(feature)
        if served is None:
            return None
        rollout = served.rollout
        if rollout is None or served.canary is None:
            record.release, record.variant = served.release, served.route.variant_name
            return served.route
        user = record.user if rollout.plan.unit == "user" else ""
        unit = user or record.session or record.ids.trace_id
        arm, route, record.release = served.given(unit)
        record.variant = route.variant_name
        hidden = record.ids.trace_id if rollout.state == "shadow" else unit_id(rollout.salt, unit)
        record.assigned = Assigned(rollout.id, arm, served.share, hidden, time.monotonic())
        return route

    def served(self, feature: str) -> Served | None:
        """What a feature's bare name means now; None: as the contract says."""
        return self._served.get(feature)

    def shadow(self, feature: str) -> tuple[Rollout, Route] | None:
        """Where a copy of a request of this feature is to go."""
        served = self._served.get(feature)
        if served is None or served.rollout is None or served.rollout.state != "shadow":
            return None
        return None if served.canary is None else (served.rollout, served.canary)

    def add(self, *rows: ExposureRow) -> None:
        """Requests that are over; they are recorded together or not at all. Never blocks."""
        if len(self._waiting) + len(rows) > self._largest:
            self.dropped += len(rows)
        else:
            self._waiting.extend(rows)

    def listen(self, spans: Sequence[SpanRow]) -> None:
        """Note the requests that other programs answered and say a rollout's arm (``Intake.listen``). Never blocks."""
        said = {
            each.span_id: each
            for each in spans
            if names.ROLLOUT in each.attributes and each.service != SERVICE
        }
        if not said:
            return
        costs: dict[str, list[float | None]] = {each.trace_id: [] for each in said.values()}
        for each in spans:
            if each.trace_id in costs:
                costs[each.trace_id].append(each.cost_usd)
        for span in said.values():
            served = self._served.get(span.feature)
            # a request is one span: what lies directly below repeats it
            if served is not None and served.rollout is not None and span.parent_span_id not in said:
                row = _from_outside(span, served.rollout, costs[span.trace_id])
                if row is not None:
                    self.add(row)

    async def keep_current(self) -> None:
        """Exchange with the records for ever; what failed is told once and tried again."""
        while True:
            await asyncio.to_thread(self.exchange)
            await asyncio.sleep(_EVERY_S)

    def exchange(self) -> None:
        """Write what waits, read what changed. Blocks on the records."""
        for name, work in (("written", self._write), ("read", self.refresh)):
            try:
                work()
            except (Error, OSError) as error:
                self._tell_once(name, f"rollouts could not be {name}: {error}")
            else:
                self._failing.pop(name, None)

    def _write(self) -> None:
        """What could not be written waits on, as long as there is room."""
        with self._writing:
            rows = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                self._records.rollouts.expose(rows)
            except Error:
                self._waiting.extendleft(reversed(rows))
                raise

    def refresh(self) -> None:
        """
        Raises:
            StoreError: the records cannot be read; what was known is served on.
        """
        with self._refreshing:
            contracts = self._router.features
            unsettled = [row.rollout for row in self._records.rollouts.unsettled()]
            newest = self._records.releases.newest()
            head = (0 if newest is None else newest.number), id(contracts)
            if head != self._head:
                stable = ((name, self._records.releases.stable(name)) for name in contracts)
                self._stable = {name: digest for name, digest in stable if digest is not None}
                self._head = head
            self._drop_changed()
            known = head, [(each.id, each.state, each.step) for each in unsettled], set(self._routes)
            if known == self._known:
                return
            self._missing = False
            serving = dict(self._stable)
            open_ones: dict[str, Rollout] = {}
            for each in unsettled:
                # users are moved before the chain says so
                serving[each.feature] = each.candidate if each.state == "promoted" else each.control
                if each.state in OPEN:
                    open_ones[each.feature] = each
            self._served = {
                name: served
                for name, digest in serving.items()
                if name in contracts and (served := self._serve(contracts[name], digest, open_ones.get(name)))
            }
            self._known = (*known[:2], set(self._routes))

    def _serve(self, spec: Spec, digest: str, rollout: Rollout | None) -> Served | None:
        """None: what the contract's baseline gives."""
        stable = self._route(spec, digest) if digest else None
        if rollout is None:
            return None if stable is None else Served(stable, digest)
        canary = self._route(spec, rollout.candidate)
        if canary is None or (digest and stable is None):
            # without both sides there is nothing to compare: nobody is assigned here
            return None if stable is None else Served(stable, digest)
        route = stable or self._router.route(spec.feature)
        return Served(route, digest, rollout, canary, rollout.share)

    def _route(self, spec: Spec, digest: str) -> Route | None:
        """A release's; None where this process cannot serve it, which is told once."""
        key = spec.feature, digest
        before = self._routes.get(key)
        if before is not None and before.spec is spec:
            return before.route
        try:
            release = self._records.releases.get(digest)
            loaded = load_release(release, spec, self._home)
        except Error as error:
            self._missing = True
            self._tell_once(digest, f"{spec.feature}: its contract's baseline is served instead: {error}")
            return None
        self._failing.pop(digest, None)
        route = self._router.of_feature(loaded.spec, loaded.variant)
        self._routes[key] = _Loaded(spec, route, loaded, release.code)
        return route

    def _drop_changed(self) -> None:
        """A release whose code was edited under a running server is none any more: another code has its digest."""
        if time.monotonic() - self._looked_at < _LOOK_EVERY_S:
            return
        for key, each in list(self._routes.items()):
            if identity.digest(each.feature) != each.code:
                del self._routes[key]
        if self._missing:
            self._known = None  # what could not be served may be deployed by now
        self._looked_at = time.monotonic()

    def _tell_once(self, name: str, message: str) -> None:
        if self._failing.get(name) != message:
            _log.error("%s", message)
        self._failing[name] = message


def exposure(record: Record) -> ExposureRow | None:
    """What is recorded of a request that is over; None where it was part of no rollout, or says nothing."""
    assigned = record.assigned
    if assigned is None:
        return None
    gone = record.status == 499
    if gone and (record.first_byte_ns or record.output):
        # a client that left in the middle of an answer says nothing of it
        return None
    return ExposureRow(
        rollout_id=assigned.rollout,
        trace_id=record.ids.trace_id,
        unit=assigned.unit,
        arm=assigned.arm,
        probability=assigned.probability,
        at=time.time(),
        latency_s=time.monotonic() - assigned.since_s,
        cost_usd=record.charged_usd if record.operation == "feature" else record.cost_usd,
        # that somebody else answered in its place does not mend it
        failed=gone or record.error is not None or bool(record.rung),
    )


def _from_outside(span: SpanRow, rollout: Rollout, costs: Sequence[float | None]) -> ExposureRow | None:
    """A request that another program answered; None where what it says of this rollout cannot be.

    Args:
        costs: of the spans of its trace, None where a price is not known.
    """
    said = span.attributes
    arm, probability, unit = said.get(names.ARM), said.get(names.PROBABILITY), said.get(names.UNIT)
    if (
        said[names.ROLLOUT] != rollout.id
        or arm not in ("canary", "control")
        or probability not in rollout.plan.steps[:-1]
        or not isinstance(unit, str)
        or not _UNIT.fullmatch(unit)
    ):
        return None
    known = [cost for cost in costs if cost is not None]
    return ExposureRow(
        rollout_id=rollout.id,
        trace_id=span.trace_id,
        unit=unit,
        arm=arm,
        probability=float(probability),
        at=time.time(),
        latency_s=(span.end_ns - span.start_ns) / 1e9,
        cost_usd=sum(known) if len(known) == len(costs) else None,
        failed=span.error is not None,
    )
