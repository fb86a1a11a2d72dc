"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _runs()
    _answers()
    _ledger()
    op.create_table(
        "model_cache",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("repeat", sa.Integer, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )


def _runs() -> None:
    op.create_table(
        "runs",
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
    )
    op.create_index("runs_feature", "runs", ["feature", "id"])
    op.create_table(
        "run_cases",
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


def _answers() -> None:
    op.create_table(
        "answers",
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
    )
    op.create_index("answers_id", "answers", ["id"], unique=True)
    op.create_index("answers_key", "answers", ["variant_digest", "input_digest", "repeat"])


def _ledger() -> None:
    op.create_table(
        "decisions",
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
    )
    op.create_index("decisions_key", "decisions", ["key", "attempt"], unique=True)
    op.create_index("decisions_feature", "decisions", ["feature", "variant"])
    op.create_table(
        "consumed",
        sa.Column("decision_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("case_digest", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("baseline", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("renewals", sa.BigInteger, nullable=False),
    )
