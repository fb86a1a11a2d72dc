"""The tables as they are now. How they came to be is in ``migrations``; a test holds the two together."""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0004"
"""The migration this version of the tables is at (compared at opening without importing Alembic)."""

metadata = sa.MetaData()

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("feature", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("baseline", sa.Text),
    sa.Column("variant_digest", sa.Text, nullable=False),
    sa.Column("baseline_digest", sa.Text),
    sa.Column("dataset_digest", sa.Text, nullable=False),
    sa.Column("decision_id", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text),
    sa.Column("options", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("made", sa.Integer, nullable=False),
    sa.Column("baseline_made", sa.Integer, nullable=False),
    sa.Column("cached", sa.Integer, nullable=False),
    sa.Column("cost_usd", sa.Double),
    sa.Index("runs_feature", "feature", "id"),
)

run_cases = sa.Table(
    "run_cases",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("split", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.Text, nullable=False),
    sa.Column("case_digest", sa.Text, nullable=False),
    sa.Column("candidate", sa.Text, nullable=False),
    sa.Column("baseline", sa.Text, nullable=False),
    sa.Column("candidate_scores", sa.Text, nullable=False),
    sa.Column("baseline_scores", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

answers = sa.Table(
    "answers",
    metadata,
    # The order of storing: "latest" must not depend on a clock.
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("feature", sa.Text, nullable=False),
    sa.Column("variant_digest", sa.Text, nullable=False),
    sa.Column("input_digest", sa.Text, nullable=False),
    sa.Column("repeat", sa.Integer, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("case_id", sa.Text, nullable=False),
    sa.Column("output", sa.Text, nullable=False),
    sa.Column("failure", sa.Text),
    sa.Column("usage", sa.Text, nullable=False),
    sa.Column("cost_usd", sa.Double),
    sa.Column("latency_s", sa.Double, nullable=False),
    sa.Column("model_calls", sa.Integer, nullable=False),
    sa.Column("cached_calls", sa.Integer, nullable=False),
    sa.Column("spans", sa.LargeBinary),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("answers_id", "id", unique=True),
    sa.Index("answers_variant", "variant_digest", "number"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("feature", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("baseline", sa.Text),
    sa.Column("estimand", sa.Text, nullable=False),
    sa.Column("parts", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("frozen", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text),
    sa.Column("decided", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Index("decisions_key", "key", "attempt", unique=True),
    sa.Index("decisions_feature", "feature", "variant"),
)

consumed = sa.Table(
    "consumed",
    metadata,
    sa.Column("decision_id", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.Text, nullable=False),
    sa.Column("case_digest", sa.Text, nullable=False),
    sa.Column("candidate", sa.Text, nullable=False),
    sa.Column("baseline", sa.Text, nullable=False),
    sa.Column("closes", sa.Boolean, nullable=False, server_default=sa.true()),
    sqlite_with_rowid=False,
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("renewals", sa.BigInteger, nullable=False),
)

model_cache = sa.Table(
    "model_cache",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("repeat", sa.Integer, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    # SHA-256 of the key; the key itself is shown once and kept nowhere
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    # JSON: {requests_per_minute?, month_at_most_usd?, features?}
    sa.Column("limits", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("revoked_at", sa.Double),
)

spend = sa.Table(
    "spend",
    metadata,
    # what is counted: "key:ID", "feature:NAME", "judge:NAME" in one month "2026-11"
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("month", sa.Text, primary_key=True),
    sa.Column("cost_usd", sa.Double, nullable=False),
    sa.Column("requests", sa.BigInteger, nullable=False),
)

scores = sa.Table(
    "scores",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("trace_id", sa.Text, nullable=False),
    sa.Column("feature", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("label", sa.Text),
    sa.Column("explanation", sa.Text),
    # scorer, user or human; author: the reviewer's name
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("failure", sa.Text),
    sa.Column("cost_usd", sa.Double),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("scores_feature", "feature", "name", "created_at"),
    sa.Index("scores_trace", "trace_id"),
)

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("trace_id", sa.Text, nullable=False),
    sa.Column("feature", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("comment", sa.Text),
    # JSON
    sa.Column("correction", sa.Text),
    sa.Column("user", sa.Text),
    sa.Column("idempotency_key", sa.Text, unique=True),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("feedback_trace", "trace_id"),
    sa.Index("feedback_feature", "feature", "name", "created_at"),
)

reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("feature", sa.Text, nullable=False),
    # empty for a case of a run
    sa.Column("trace_id", sa.Text, nullable=False),
    # label, complaint, violation, low_score, disagreement, preference, escalation
    sa.Column("kind", sa.Text, nullable=False),
    # open, resolved or dismissed
    sa.Column("status", sa.Text, nullable=False),
    # JSON: what is to be looked at, as it was (redacted input and output, scores, the feedback's id)
    sa.Column("subject", sa.Text, nullable=False),
    # JSON: what the person said (label, correction, judge_wrong | case_wrong | real, case_id)
    sa.Column("resolution", sa.Text),
    sa.Column("reviewer", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("resolved_at", sa.Double),
    # an escalation's answer is awaited until then
    sa.Column("due_at", sa.Double),
    sa.Index("reviews_open", "status", "feature", "id"),
    sa.Index("reviews_trace", "trace_id"),
)

releases = sa.Table(
    "releases",
    metadata,
    # a chain: each row's record digest covers the row and the record before it (see ship.chain)
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    # release, sign_off, override, promote or back
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("feature", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    # JSON: what was frozen, and digests of the evidence; no personal text
    sa.Column("body", sa.Text, nullable=False),
    # JSON: who and why, in words; NULL once erased, which leaves the chain whole
    sa.Column("personal", sa.Text),
    sa.Column("personal_digest", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("record", sa.Text, nullable=False, unique=True),
    sa.Column("signature", sa.Text),
    sa.Index("releases_feature", "feature", "number"),
)

rollouts = sa.Table(
    "rollouts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("feature", sa.Text, nullable=False),
    sa.Column("candidate", sa.Text, nullable=False),
    sa.Column("control", sa.Text, nullable=False),
    sa.Column("salt", sa.Text, nullable=False),
    # JSON
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("step_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double),
    sa.Column("reason", sa.Text, nullable=False),
    # who ended it, a person; erasable
    sa.Column("by", sa.Text, nullable=False),
    # JSON: the evidence per check as of the last tick, for those who look
    sa.Column("evidence", sa.Text, nullable=False),
    # is everything done that follows from its end: the chain's record, the incident, the reviews?
    sa.Column("settled", sa.Boolean, nullable=False),
    sa.Index("rollouts_feature", "feature", "id"),
    sa.Index("rollouts_settled", "settled", "id"),
    # one at a time: two that are begun at once must not both be
    sa.Index(
        "rollouts_open",
        "feature",
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    ),
)

# A live request that was part of a rollout.
exposures = sa.Table(
    "exposures",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("rollout_id", sa.Text, nullable=False),
    sa.Column("trace_id", sa.Text, nullable=False),
    # a keyed hash of the user or conversation; of a shadow pair the live trace
    sa.Column("unit", sa.Text, nullable=False),
    # canary, control or shadow
    sa.Column("arm", sa.Text, nullable=False),
    sa.Column("probability", sa.Double, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("latency_s", sa.Double),
    sa.Column("cost_usd", sa.Double),
    sa.Column("failed", sa.Boolean, nullable=False),
    sa.Index("exposures_rollout", "rollout_id", "number"),
    sa.Index("exposures_trace", "trace_id"),
)

# A unit whose outcome has entered the tests, at its place: a rollout's memory, replayed after a restart.
outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("rollout_id", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("canary", sa.Boolean, nullable=False),
    # 0 of a shadow pair, whose unit is the live trace and whose scores are differences (copy less live)
    sa.Column("probability", sa.Double, nullable=False),
    # JSON: check -> value in the plan's bounds, null where it was not measured
    sa.Column("scores", sa.Text, nullable=False),
    # JSON: its trace ids
    sa.Column("traces", sa.Text, nullable=False),
    sa.Index("outcomes_unit", "rollout_id", "unit", unique=True),
    sqlite_with_rowid=False,
)

incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("feature", sa.Text, nullable=False),
    # check, rollback or drift
    sa.Column("kind", sa.Text, nullable=False),
    # the check that was broken
    sa.Column("check", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    # JSON: the evidence as it was
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("release", sa.Text, nullable=False),
    sa.Column("rollout", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    # open, acknowledged or closed
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("opened_at", sa.Double, nullable=False),
    sa.Column("acknowledged_at", sa.Double),
    sa.Column("closed_at", sa.Double),
    sa.Column("postmortem", sa.Text, nullable=False),
    sa.Column("case_id", sa.Text, nullable=False),
    # JSON: [{at, what, by}]
    sa.Column("timeline", sa.Text, nullable=False),
    sa.Index("incidents_feature", "feature", "status", "id"),
)

# What is to be told, until it has been told.
notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    # an incident or a review
    sa.Column("about", sa.Text, nullable=False),
    # opened or closed; escalated or overdue
    sa.Column("event", sa.Text, nullable=False),
    # the channel's name in shiftright.yaml, "" until it is known which there are
    sa.Column("channel", sa.Text, nullable=False),
    # waiting, sent or failed
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    # not tried again before
    sa.Column("due_at", sa.Double, nullable=False),
    sa.Column("sent_at", sa.Double),
    sa.Index("notifications_status", "status", "due_at"),
    sa.Index("notifications_about", "about"),
)

# Drift detectors: one per live check, with how far what it watches has been read.
detectors = sa.Table(
    "detectors",
    metadata,
    sa.Column("feature", sa.Text, primary_key=True),
    sa.Column("check", sa.Text, primary_key=True),
    # up to where it has seen: a score's number, a feedback's id, a time in nanoseconds
    sa.Column("seen", sa.Text, nullable=False),
    # JSON
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
)
