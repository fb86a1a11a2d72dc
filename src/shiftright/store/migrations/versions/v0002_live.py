"""Live traffic: keys, spend, scores, feedback, reviews."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _access()
    _scores()
    _feedback()
    _reviews()


def _access() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False, unique=True),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
    )
    op.create_table(
        "spend",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("month", sa.Text, primary_key=True),
        sa.Column("cost_usd", sa.Double, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
    )


def _scores() -> None:
    op.create_table(
        "scores",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("variant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("label", sa.Text),
        sa.Column("explanation", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("cost_usd", sa.Double),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("scores_feature", "scores", ["feature", "name", "created_at"])
    op.create_index("scores_trace", "scores", ["trace_id"])


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("comment", sa.Text),
        sa.Column("correction", sa.Text),
        sa.Column("user", sa.Text),
        sa.Column("idempotency_key", sa.Text, unique=True),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("feedback_trace", "feedback", ["trace_id"])
    op.create_index("feedback_feature", "feedback", ["feature", "name", "created_at"])


def _reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("resolution", sa.Text),
        sa.Column("reviewer", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("resolved_at", sa.Double),
    )
    op.create_index("reviews_open", "reviews", ["status", "feature", "id"])
    op.create_index("reviews_trace", "reviews", ["trace_id"])
