"""Which of two variants people prefer, when they cannot see which is which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from shiftright.core.case import digest_of
from shiftright.core.estimate import Estimate
from shiftright.core.trace import TraceFilter
from shiftright.errors import UsageError
from shiftright.evals.report.gather import gather
from shiftright.settings import Settings
from shiftright.store import Records
from shiftright.store.rows import ReviewRow, ScoreRow
from shiftright.store.telemetry import TraceReader
from shiftright.tracing.exchange import exchange

MOST_TRACES = 5_000


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two answers to one input. ``source`` says where they are from (``run:ID/CASE``); pairs of one ``group`` share a
    document, user or conversation and count as one."""

    source: str
    input: Any
    candidate: Any
    baseline: Any
    group: str | None = None


class Preference(msgspec.Struct, frozen=True):
    """How often people prefer the candidate's answer (a tie is half), where the two answers differ. ``waiting`` pairs
    are not judged yet."""

    feature: str
    candidate: str
    baseline: str
    preferred: Estimate
    waiting: int

    def __str__(self) -> str:
        if self.preferred.value is None:
            return f"nobody has compared {self.candidate} with {self.baseline} yet; {self.waiting} pairs wait"
        low, high = self.preferred.interval
        verdict = "better" if low > 0.5 else "worse" if high < 0.5 else "not told apart"
        return (
            f"people prefer {self.candidate} to {self.baseline} on {self.preferred.value:.0%} of {self.preferred.n} "
            f"({low:.0%} to {high:.0%}): {verdict}"
        )


def ask(
    records: Records, feature: str, candidate: str, baseline: str, pairs: Iterable[Pair], *, limit: int
) -> tuple[ReviewRow, ...]:
    """Open a blind review for each of ``limit`` pairs, drawn by hash; no equal answers, no pair asked before."""
    asked = {review.subject.get("source") for review in _reviews(records, feature)}
    fresh = [pair for pair in pairs if pair.candidate != pair.baseline and pair.source not in asked]
    drawn = sorted(fresh, key=lambda pair: digest_of(pair.source, "drawn"))[:limit]
    return tuple(
        records.reviews.open("preference", _subject(pair, candidate, baseline), feature=feature)
        for pair in drawn
    )


def pairs_of_run(settings: Settings, records: Records, run_id: str) -> tuple[str, str, str, list[Pair]]:
    """(feature, candidate, baseline, pairs) of a stored run's cases.

    Raises:
        UsageError: for an unknown run, or one without a baseline.
    """
    report = gather(run_id, settings, records)
    run = report.run
    if run.baseline is None:
        raise UsageError(
            f"run {run.id} compares with nothing", hint="Name a run with a baseline: shiftright runs"
        )
    pairs = [
        Pair(
            source=f"run:{run.id}/{case.id}",
            input=case.value,
            candidate=case.candidate[0].output,
            baseline=case.baseline[0].output,
            group=case.group,
        )
        for case in report.cases
        if case.known and _worked(case.candidate) and _worked(case.baseline)
    ]
    return run.feature, run.variant, run.baseline, pairs


def pairs_of_traces(telemetry: TraceReader, feature: str, candidate: str, baseline: str) -> list[Pair]:
    """The newest live answers of both variants to one input."""
    answers: dict[str, tuple[str, Any]] = {}
    pairs = []
    for variant in (baseline, candidate):
        seen = set()
        where = TraceFilter(feature=feature, variant=variant, failed=False)
        for trace_id in _newest(telemetry, where):
            told = exchange(telemetry.trace(trace_id))
            key = None if told is None else digest_of(told.value)
            if told is None or key is None or key in seen:
                continue
            seen.add(key)
            if variant == baseline:
                answers[key] = (trace_id, told.output)
            elif key in answers:
                other, output = answers[key]
                source = f"traces:{trace_id}/{other}"
                group = told.session or told.user or None
                pairs.append(
                    Pair(source=source, input=told.value, candidate=told.output, baseline=output, group=group)
                )
    return pairs


def preference(records: Records, feature: str, candidate: str, baseline: str) -> Preference:
    """The interval holds at every moment, so one may look, and stop, whenever one likes (stats.mean_interval)."""
    from shiftright.stats import mean_interval

    scores = records.scores.window(
        feature, score_name(baseline), since=0.0, source="human", variant=candidate
    )
    said = by_reviewer(scores)
    units: dict[str, list[float]] = {}
    waiting = 0
    for review in _reviews(records, feature):
        pair = review.subject["pair"]
        if (pair["candidate"], pair["baseline"]) != (candidate, baseline):
            continue
        waiting += review.status == "open"
        if values := said.get(review.id):
            unit = review.subject.get("group") or review.id
            units.setdefault(unit, []).append(sum(values.values()) / len(values))
    means = [sum(values) / len(values) for values in units.values()]
    value = sum(means) / len(means) if means else None
    found = Estimate(value, mean_interval(means, low=0.0, high=1.0), len(means))
    return Preference(feature, candidate, baseline, found, waiting)


def by_reviewer(scores: Iterable[ScoreRow]) -> dict[str, dict[str, float]]:
    """Trace (or review) -> reviewer -> the latest value, for scores that say something."""
    found: dict[str, dict[str, float]] = {}
    for row in scores:
        if row.score.value is not None:
            found.setdefault(row.trace_id, {})[row.author] = row.score.value
    return found


def score_name(baseline: str) -> str:
    """Name of the score that says how far a candidate is preferred."""
    return f"preferred to {baseline}"


def _subject(pair: Pair, candidate: str, baseline: str) -> dict[str, Any]:
    """Which answer stands left is a coin that the hash of the pair throws, so that no habit of the caller shows."""
    swapped = int(digest_of(pair.source, "side")[0], 16) % 2 == 1
    left, right = (pair.baseline, pair.candidate) if swapped else (pair.candidate, pair.baseline)
    names = (baseline, candidate) if swapped else (candidate, baseline)
    sides = {"left": names[0], "right": names[1], "candidate": candidate, "baseline": baseline}
    subject = {"input": pair.input, "left": left, "right": right, "pair": sides, "source": pair.source}
    return subject | ({"group": pair.group} if pair.group else {})


def _reviews(records: Records, feature: str) -> Iterator[ReviewRow]:
    cursor = None
    while True:
        page = records.reviews.list(None, feature=feature, kind="preference", limit=1_000, cursor=cursor)
        yield from page.data
        cursor = page.next_cursor
        if cursor is None:
            return


def _newest(telemetry: TraceReader, where: TraceFilter) -> Iterator[str]:
    cursor, given = None, 0
    while given < MOST_TRACES:
        page = telemetry.traces(where, limit=500, cursor=cursor)
        yield from (row.trace_id for row in page.data)
        given += len(page.data)
        cursor = page.next_cursor
        if cursor is None:
            return


def _worked(answers: tuple[Any, ...]) -> bool:
    return bool(answers) and answers[0].failure is None
