"""Drift: has a live check fallen below its accepted level, since when, and what changed then?

Of a contract's detectors together about one false alarm is to be expected in ``EVERY_DAYS`` at the traffic seen, while
every check holds its level. See docs/decisions/drift.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec

from shiftright.core.incident import Incident
from shiftright.core.spec import Check, Clause, Spec
from shiftright.decisions import words
from shiftright.decisions.clauses import ClausePlan, increment, natural, plan_clause
from shiftright.decisions.live import why_not
from shiftright.decisions.units import CaseScores
from shiftright.monitor.attribution import attribute
from shiftright.monitor.streams import Observation, observations
from shiftright.monitor.violations import ask, told, worst
from shiftright.store import Records
from shiftright.store.telemetry import TelemetryStore

if TYPE_CHECKING:
    from shiftright.stats import DriftDetector

EVERY_DAYS = 90.0
REFERENCE = 300
"""Observations after a release that say its level, for a check that is held against it."""
_FEWEST = 1_000.0
_DAY, _WEEK_DAYS, _HOUR = 86_400.0, 7, 3_600.0
_MOMENTS = 600
_STRIDE = 10


class _State(msgspec.Struct):
    """As it is stored. ``days`` counts observations by UTC day; ``moments`` are (observations seen, time) of late, so
    that an alarm can say since when; ``reference`` are the increments that say the level of ``release``."""

    clause: str
    release: str
    detector: dict[str, Any] | None = None
    reference: list[float] = []
    days: dict[str, int] = {}
    first_at: float = 0.0
    moments: list[tuple[int, float]] = []


def watch(spec: Spec, records: Records, telemetry: TelemetryStore) -> list[Incident]:
    """Feed the detectors of a contract what came since they were fed last; an alarm opens an incident. Blocks.

    Gives the incidents of alarms that were raised now, whether opened now or open before.
    """
    watched = [
        (check, clause)
        for check in (*spec.checks, *spec.live_checks)
        if why_not(check) is None and (clause := clause_of(check)) is not None
    ]
    found = [_watch(spec, check, clause, len(watched), records, telemetry) for check, clause in watched]
    return [incident for incident in found if incident is not None]


def clause_of(check: Check) -> Clause | None:
    """The clause whose level is watched: a bound of its own, else the level at the release less ``max_drop``."""
    for kind in ("at_least", "at_most", "p95_at_most", "mean_at_most", "max_drop"):
        clause = check.clause(kind)
        if clause is not None and (kind != "mean_at_most" or check.clause("each_at_most") is not None):
            return clause
    return None


def _watch(
    spec: Spec, check: Check, clause: Clause, together: int, records: Records, telemetry: TelemetryStore
) -> Incident | None:
    row = records.detectors.get(spec.feature, check.name)
    seen = "" if row is None else row.seen
    plan = _plan(spec, check, clause)
    if not clause.relative and not plan.low < plan.bad <= plan.high:
        return None
    came = observations(check, spec.feature, seen, records, telemetry)
    if not came:
        return None
    state = _going_on(None if row is None else row.state, clause, records.releases.stable(spec.feature) or "")
    detector, changed_at = _fed(state, plan, clause, came, together)
    incident = None
    if detector is not None and changed_at is not None:
        # opened before the detector moves on: a process killed in between raises the alarm again, and joins this one
        incident = _alarm(spec, check, clause, plan, detector, changed_at, state, records, telemetry)
    state.detector = None if detector is None else detector.state()
    records.detectors.put(spec.feature, check.name, row, came[-1].cursor, msgspec.to_builtins(state))
    return incident


def _going_on(stored: dict[str, Any] | None, clause: Clause, release: str) -> _State:
    """Another clause is another question; a level taken from a release is taken anew from the next."""
    named = f"{clause.kind} {clause.bound:.17g}"
    state = None if stored is None else msgspec.convert(stored, _State)
    if state is None or state.clause != named or (clause.relative and state.release != release):
        return _State(named, release)
    state.release = release
    return state


def _plan(spec: Spec, check: Check, clause: Clause) -> ClausePlan:
    if clause.relative:
        # its live scores are watched, whatever the baseline would have said
        clause = Clause("at_least", clause.bound, line=clause.line)
    return plan_clause(check, clause, confidence=spec.confidence, clauses=1, units=1)


def _fed(
    state: _State, plan: ClausePlan, clause: Clause, came: Sequence[Observation], together: int
) -> tuple[DriftDetector | None, int | None]:
    """The detector, fed, and how many observations had passed when the fall began that it raised an alarm for."""
    from shiftright.stats import DriftDetector

    _count(state, came)
    every = _every(state, together)
    values = [_increment(plan, each.value) for each in came]
    at = [each.at for each in came]
    detector = None
    if state.detector is not None:
        detector = DriftDetector.from_state(state.detector)
        # a threshold raised as traffic grows keeps the promise in days; none is lowered
        detector.false_alarm_every = max(detector.false_alarm_every, every)
    elif clause.relative:
        left = REFERENCE - len(state.reference)
        state.reference += values[:left]
        values, at = values[left:], at[left:]
        if len(state.reference) < REFERENCE:
            return None, None
        level = _level(state.reference, clause.bound, plan)
        detector = DriftDetector(level=level, low=plan.low, high=plan.high, false_alarm_every=every)
        state.reference = []
    else:
        detector = DriftDetector(level=plan.bad, low=plan.low, high=plan.high, false_alarm_every=every)
    for number, moment in enumerate(at, detector.n + 1):
        state.moments.append((number, moment))
    if len(state.moments) > _MOMENTS:
        half = len(state.moments) - _MOMENTS // 2
        old = state.moments[:half]
        state.moments = old[:: -(-len(old) // (_MOMENTS // 2))] + state.moments[half:]
    alarmed_at = None
    for start in range(0, len(values), _STRIDE):
        if detector.update(values[start : start + _STRIDE]) and alarmed_at is None:
            # of several alarms of one fall the first knows best when it began
            alarmed_at = detector.changed_at
    return detector, alarmed_at


def _level(reference: Sequence[float], margin: float, plan: ClausePlan) -> float:
    """What the release surely reached, less the margin."""
    from shiftright.stats import mean_interval

    low, _ = mean_interval(reference, 0.9, low=plan.low, high=plan.high)
    return max(low - margin, plan.low + 1e-6)


def _increment(plan: ClausePlan, value: float | None) -> float:
    x = increment(plan, CaseScores("", {plan.check: (value,)}))
    return min(max(x, plan.low), plan.high) if isfinite(x) else plan.low


def _count(state: _State, came: Sequence[Observation]) -> None:
    state.first_at = state.first_at or came[0].at
    for each in came:
        day = str(int(each.at // _DAY))
        state.days[day] = state.days.get(day, 0) + 1
    oldest = int(came[-1].at // _DAY) - _WEEK_DAYS
    state.days = {day: n for day, n in state.days.items() if int(day) > oldest}


def _every(state: _State, together: int) -> float:
    """Observations between false alarms, so that all detectors together raise about one in ``EVERY_DAYS``."""
    now = time.time()
    span = min(max(now - state.first_at, _HOUR), _WEEK_DAYS * _DAY)
    a_day = sum(state.days.values()) * _DAY / span
    return max(EVERY_DAYS * a_day, _FEWEST) * together


def _alarm(
    spec: Spec,
    check: Check,
    clause: Clause,
    plan: ClausePlan,
    detector: DriftDetector,
    changed_at: int,
    state: _State,
    records: Records,
    telemetry: TelemetryStore,
) -> Incident:
    since = next((at for number, at in state.moments if number > changed_at), state.moments[-1][1])
    level = words.quantity(clause.kind, natural(plan, detector.level), check.score)
    found = attribute(spec.feature, since, telemetry)
    traces = list(worst(check, clause, spec.feature, since, records, telemetry))
    subject = {
        "target": words.target(check, clause),
        "level": natural(plan, detector.level),
        "since": since,
        "observations": detector.n,
        "false_alarm_every": detector.false_alarm_every,
        "changed": found.said,
        "differences": msgspec.to_builtins(found.differences),
        "traces": traces,
    }
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(since))
    title = f"{check.name}: no longer at {level} since about {began}"
    incident = told(spec, records, "drift", check.name, title, subject)
    if incident.kind == "drift" and incident.subject.get("since") == since:
        ask(spec, check.name, title, traces, records, telemetry)
    return incident
