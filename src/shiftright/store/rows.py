"""What the store keeps, as frozen data. Times are seconds since 1970 (UTC), cost is USD."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec

from shiftright.core.answer import Answer
from shiftright.core.rollout import Rollout
from shiftright.core.score import Score
from shiftright.core.verdict import Verdict

RunStatus = Literal["running", "done", "stopped", "error", "interrupted"]


class StoredAnswer(msgspec.Struct, frozen=True, gc=False):
    """One Answer under the keys by which it is found again. ``id`` comes from ``ids.answer_id``."""

    id: str
    feature: str
    variant_digest: str
    input_digest: str
    repeat: int
    run_id: str
    case_id: str
    answer: Answer
    created_at: float


class RunRow(msgspec.Struct, frozen=True):
    """One EvalRun. ``made``, ``baseline_made`` and ``cached`` count executions of the feature.

    ``cost_usd`` is None where a price is unknown. ``id`` comes from ``records.runs.new_id()``. ``status`` is
    "interrupted" where no end was recorded and the process is gone; that is seen on reading and never stored.
    """

    id: str
    feature: str
    variant: str
    variant_digest: str
    dataset_digest: str
    started_at: float
    baseline: str | None = None
    baseline_digest: str | None = None
    decision_id: str | None = None
    status: RunStatus = "running"
    verdict: Verdict | None = None
    options: dict[str, Any] = {}
    seed: int = 0
    ended_at: float | None = None
    made: int = 0
    baseline_made: int = 0
    cached: int = 0
    cost_usd: float | None = 0.0


class RunCase(msgspec.Struct, frozen=True, gc=False):
    """One case of one run: which answers were judged and what each check said of them.

    ``candidate`` and ``baseline`` hold ids of stored answers, one per repeat; the score fields map a check's
    name to its Scores, one per repeat, in the same order.
    """

    run_id: str
    split: str
    position: int
    case_id: str
    case_digest: str
    candidate: tuple[str, ...] = ()
    baseline: tuple[str, ...] = ()
    candidate_scores: dict[str, tuple[Score, ...]] = {}
    baseline_scores: dict[str, tuple[Score, ...]] = {}


class DecisionRow(msgspec.Struct, frozen=True):
    """One attempt at one decision in the ledger.

    ``parts`` are what is decided (feature code, clauses, variant, baseline, dataset lineage, estimand); ``attempt``
    counts from 1. Two rows of one ``key`` and attempt would be one decision begun twice at the same time. ``frozen``
    is what was fixed at the first call (baseline scores, planning sample, K). ``id`` comes from
    ``records.ledger.new_id()``.
    """

    id: str
    key: str
    feature: str
    variant: str
    created_at: float
    updated_at: float
    attempt: int = 1
    baseline: str | None = None
    estimand: str = ""
    parts: dict[str, Any] = {}
    seed: int = 0
    frozen: dict[str, Any] = {}
    verdict: Verdict | None = None
    decided: bool = False


class ConsumedRow(msgspec.Struct, frozen=True, gc=False):
    """One case a decision has used, at its place in the order (from 0).

    ``candidate`` and ``baseline`` map a check's name to its values, one per repeat, None where the measurement
    failed. ``closes`` marks the last case of its group, as groups were when it was used.
    """

    decision_id: str
    position: int
    case_id: str
    case_digest: str
    candidate: dict[str, tuple[float | None, ...]] = {}
    baseline: dict[str, tuple[float | None, ...]] = {}
    closes: bool = True


class CachedCall(msgspec.Struct, frozen=True):
    """A model's answer as bytes: ``key`` digests the request, ``repeat`` counts identical ones from 0."""

    key: str
    repeat: int
    body: bytes


Row = TypeVar("Row")


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """Some rows of a longer list; ``next_cursor`` is None at the end."""

    data: tuple[Row, ...]
    next_cursor: str | None = None


class FeedbackRow(msgspec.Struct, frozen=True, kw_only=True):
    """A user's signal on a trace. ``value`` is in [0, 1] (1: good), None where only words were given; ``correction`` is
    what would have been right, as JSON data. ``feature`` is "" while the trace is not stored yet. ``id`` is given by
    ``records.feedback.add``.
    """

    trace_id: str
    name: str
    created_at: float
    id: str = ""
    feature: str = ""
    value: float | None = None
    comment: str | None = None
    correction: Any = None
    user: str | None = None
    idempotency_key: str | None = None


ReviewKind = Literal[
    "label", "complaint", "violation", "low_score", "disagreement", "preference", "escalation"
]
ReviewStatus = Literal["open", "resolved", "dismissed"]


class ReviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person's work on one trace, or on one case of a run (``trace_id`` is "").

    ``subject`` is what is to be looked at, ``resolution`` what the person said (see improve.reviews); an escalation is
    answered by ``due_at``.
    """

    id: str
    feature: str
    trace_id: str
    kind: ReviewKind
    subject: dict[str, Any]
    created_at: float
    status: ReviewStatus = "open"
    resolution: dict[str, Any] | None = None
    reviewer: str | None = None
    resolved_at: float | None = None
    due_at: float | None = None


class ScoreRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A Score of a live trace. ``author`` is the reviewer of a human score; of a scorer's, "" where the trace was
    sampled by lot, else why it was looked at (``complaint``)."""

    trace_id: str
    feature: str
    score: Score
    created_at: float
    variant: str = ""
    author: str = ""


class ExposureRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A live request that was part of a rollout. ``unit`` is a keyed hash (core.rollout.unit_id), ``probability`` the
    P(canary) it was assigned with. A shadow pair is two of them, ``control`` and ``shadow``, with the live trace as
    unit and probability 0. ``latency_s`` and ``cost_usd`` are None where they are not known; ``number`` is given by
    the store."""

    rollout_id: str
    trace_id: str
    unit: str
    arm: Literal["canary", "control", "shadow"]
    probability: float
    at: float
    latency_s: float | None = None
    cost_usd: float | None = None
    failed: bool = False
    number: int = 0


class OutcomeRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A unit whose outcome entered the tests of a rollout, at its place (from 0).

    ``scores`` maps a check to the mean over its ``traces``, None where nothing was measured. Of a shadow pair
    (probability 0) it is the difference, copy less live.
    """

    position: int
    unit: str
    canary: bool
    probability: float
    scores: dict[str, float | None]
    traces: tuple[str, ...]


class FollowedRow(msgspec.Struct, frozen=True):
    """A rollout with its evidence as of the last tick (ship.canary). ``settled``: nothing is left to do about it."""

    rollout: Rollout
    evidence: dict[str, Any]
    settled: bool
