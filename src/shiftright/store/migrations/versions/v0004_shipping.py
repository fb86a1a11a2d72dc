"""Shipping: releases, rollouts and what came of them, incidents, drift; a review may have a deadline."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("reviews", sa.Column("due_at", sa.Double))
    _releases()
    _rollouts()
    _incidents()


def _releases() -> None:
    op.create_table(
        "releases",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("personal", sa.Text),
        sa.Column("personal_digest", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False, unique=True),
        sa.Column("signature", sa.Text),
    )
    op.create_index("releases_feature", "releases", ["feature", "number"])


def _rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("control", sa.Text, nullable=False),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("step_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("settled", sa.Boolean, nullable=False),
    )
    op.create_index("rollouts_feature", "rollouts", ["feature", "id"])
    op.create_index("rollouts_settled", "rollouts", ["settled", "id"])
    still = sa.text("ended_at IS NULL")
    op.create_index(
        "rollouts_open", "rollouts", ["feature"], unique=True, sqlite_where=still, postgresql_where=still
    )
    op.create_table(
        "exposures",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("rollout_id", sa.Text, nullable=False),
        sa.Column("trace_id", sa.Text, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("latency_s", sa.Double),
        sa.Column("cost_usd", sa.Double),
        sa.Column("failed", sa.Boolean, nullable=False),
    )
    op.create_index("exposures_rollout", "exposures", ["rollout_id", "number"])
    op.create_index("exposures_trace", "exposures", ["trace_id"])
    op.create_table(
        "outcomes",
        sa.Column("rollout_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("canary", sa.Boolean, nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("scores", sa.Text, nullable=False),
        sa.Column("traces", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("outcomes_unit", "outcomes", ["rollout_id", "unit"], unique=True)


def _incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("check", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("release", sa.Text, nullable=False),
        sa.Column("rollout", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("acknowledged_at", sa.Double),
        sa.Column("closed_at", sa.Double),
        sa.Column("postmortem", sa.Text, nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("timeline", sa.Text, nullable=False),
    )
    op.create_index("incidents_feature", "incidents", ["feature", "status", "id"])
    op.create_table(
        "notifications",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("sent_at", sa.Double),
    )
    op.create_index("notifications_status", "notifications", ["status", "due_at"])
    op.create_index("notifications_about", "notifications", ["about"])
    op.create_table(
        "detectors",
        sa.Column("feature", sa.Text, primary_key=True),
        sa.Column("check", sa.Text, primary_key=True),
        sa.Column("seen", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
    )
