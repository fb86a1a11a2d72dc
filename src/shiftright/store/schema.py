"""The tables as they are now. How they came to be is in ``migrations``; a test holds the two together."""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0003"
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
    # label, complaint, violation, low_score, disagreement, preference
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
    sa.Index("reviews_open", "status", "feature", "id"),
    sa.Index("reviews_trace", "trace_id"),
)
