"""A postmortem's first draft, of what the records know: what happened when, what changed before it, what was done."""

from __future__ import annotations

import time
from collections.abc import Iterator

from shiftright.core.counting import counted
from shiftright.core.incident import Event, Incident
from shiftright.core.release import Record
from shiftright.evals.report.markdown import escaped
from shiftright.store import Records

BEFORE_S = 7 * 86_400.0
"""How far back of an incident what changed is told."""
_MOST_TRACES = 20
_DONE = {
    "release": "froze release",
    "sign_off": "signed off",
    "override": "let pass without evidence",
    "promote": "promoted to everybody",
    "back": "took back",
}


def draft(records: Records, incident: Incident, *, by: str = "", what: str = "") -> str:
    """Markdown, all text of others escaped. ``by`` and ``what`` are the closing, where it is being closed."""
    return "\n".join(_lines(records, incident, by, what)) + "\n"


def _lines(records: Records, incident: Incident, by: str, what: str) -> Iterator[str]:
    until = incident.closed_at or time.time()
    events = list(incident.timeline)
    if what:
        events.append(Event(until, what, by))
    yield f"# {escaped(incident.feature)}: {escaped(incident.title)}"
    yield ""
    release = f" · release `{incident.release[:12]}`" if incident.release else ""
    owner = f" · owner {escaped(incident.owner)}" if incident.owner else ""
    yield f"Incident `{incident.id}` · {incident.kind}{release}{owner} · open for {_span(until - incident.opened_at)}"
    yield ""
    yield "## What happened"
    yield ""
    yield from _evidence(incident)
    yield "## Timeline"
    yield ""
    chain = [row for row in records.releases.list(incident.feature) if row.at >= incident.opened_at]
    done = [(row.at, _record(row)) for row in chain]
    told = [
        (row.sent_at, f"{escaped(row.channel)} was told that it is {row.event}")
        for row in records.notifications.of(incident.id)
        if row.sent_at is not None
    ]
    lines = [(event.at, _said(event)) for event in events] + done + told
    for at, line in sorted(lines):
        yield f"- {_moment(at)}: {line}"
    yield ""
    yield "## What changed before it"
    yield ""
    yield from _before(records, incident)
    yield "## Traces"
    yield ""
    yield from _traces(records, incident)
    yield "## What keeps it from coming back"
    yield ""
    yield f"- {escaped(what)}" if what else "- Not closed yet: which `must` case comes of it?"
    yield "- Why it could happen, and what else follows: to be written by people."


def _evidence(incident: Incident) -> Iterator[str]:
    subject = incident.subject
    for name in ("target", "reason", "changed"):
        if isinstance(subject.get(name), str) and subject[name]:
            yield f"- {name}: {escaped(subject[name])}"
    if isinstance(subject.get("n"), int):
        yield f"- {counted(subject['n'], 'trace')} measured since {_moment(float(subject.get('since', 0.0)))}"
    if isinstance(subject.get("since"), float) and incident.kind == "drift":
        yield f"- began at about {_moment(subject['since'])}"
    for check in subject.get("checks", ()) if isinstance(subject.get("checks"), list) else ():
        if isinstance(check, dict) and isinstance(check.get("effect"), float):
            yield f"- {escaped(str(check.get('check', '')))}: {100 * check['effect']:+.1f} points against the control"
    yield ""


def _before(records: Records, incident: Incident) -> Iterator[str]:
    since = incident.opened_at - BEFORE_S
    lines = [
        (row.at, _record(row))
        for row in records.releases.list(incident.feature)
        if since <= row.at < incident.opened_at
    ]
    for row in records.rollouts.list(incident.feature):
        rollout = row.rollout
        if since <= rollout.started_at < incident.opened_at:
            said = f"a rollout of `{rollout.candidate[:12]}` began (`{rollout.id}`)"
            lines.append((rollout.started_at, said))
    for at, line in sorted(lines):
        yield f"- {_moment(at)}: {line}"
    if not lines:
        yield f"- Nothing was released or rolled out in the {BEFORE_S / 86_400:.0f} days before."
    yield ""


def _traces(records: Records, incident: Incident) -> Iterator[str]:
    traces = [str(each) for each in incident.subject.get("traces", ())][:_MOST_TRACES]
    for trace_id in traces:
        reviews = records.reviews.list(None, trace_id=trace_id).data
        said = "; ".join(
            f"review `{review.id}` {review.status}"
            + (f": {escaped(str(review.resolution.get('choice', '')))}" if review.resolution else "")
            for review in reviews
        )
        yield f"- `{escaped(trace_id)}`" + (f" ({said})" if said else "")
    if not traces:
        yield "- None were kept."
    yield ""


def _said(event: Event) -> str:
    return escaped(event.what) + (f" ({escaped(event.by)})" if event.by else "")


def _record(row: Record) -> str:
    who = f" ({escaped(row.by)})" if row.by else ""
    why = f": {escaped(row.reason)}" if row.reason else ""
    return f"{_DONE[row.kind]} `{row.digest[:12]}`{who}{why}"


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def _span(seconds: float) -> str:
    for length, name in ((86_400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= length:
            return counted(round(seconds / length), name)
    return counted(round(max(seconds, 0.0)), "second")
