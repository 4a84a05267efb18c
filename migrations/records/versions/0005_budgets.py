"""Budgets with the thresholds they crossed, service levels, prices of own GPUs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "budgets",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("project_id", sa.String(64), sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("limit_usd", sa.String(40), nullable=False),
        sa.Column("period", sa.String(20), nullable=False),
        sa.Column("rolling_hours", sa.Integer(), nullable=False),
        sa.Column("time_zone", sa.String(100), nullable=False),
        sa.Column("q", sa.Text(), nullable=False),
        sa.Column("per", sa.String(200), nullable=False),
        sa.Column("thresholds", sa.String(200), nullable=False),
        sa.Column("enforce", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(2000), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_budgets_project_id", "budgets", ["project_id"])
    op.create_table(
        "budget_crossings",
        sa.Column(
            "budget_id",
            sa.String(32),
            sa.ForeignKey("budgets.id", ondelete="CASCADE"),
            primary_key=True,
            nullable=False,
        ),
        sa.Column("period_key", sa.String(64), primary_key=True, nullable=False),
        sa.Column("value_hash", sa.String(32), primary_key=True, nullable=False),
        sa.Column("threshold", sa.Integer(), primary_key=True, nullable=False),
        sa.Column("value", sa.String(500), nullable=False),
        sa.Column("crossed_ns", sa.BigInteger(), nullable=False),
        sa.Column("used_usd", sa.String(60), nullable=False),
    )
    op.create_table(
        "slos",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("project_id", sa.String(64), sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("objective", sa.String(40), nullable=False),
        sa.Column("indicator", sa.String(20), nullable=False),
        sa.Column("unit", sa.String(20), nullable=False),
        sa.Column("latency_of", sa.String(20), nullable=False),
        sa.Column("threshold_ms", sa.Double(), nullable=False),
        sa.Column("q", sa.Text(), nullable=False),
        sa.Column("window_days", sa.Integer(), nullable=False),
        sa.Column("min_events", sa.Integer(), nullable=False),
        sa.Column("min_bad_events", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(2000), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_slos_project_id", "slos", ["project_id"])
    op.create_table(
        "gpu_prices",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("project_id", sa.String(64), sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("q", sa.Text(), nullable=False),
        sa.Column("gpu_count", sa.String(40), nullable=False),
        sa.Column("usd_per_gpu_hour", sa.String(40), nullable=False),
        sa.Column("gpu_type", sa.String(100), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("until_ns", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.String(2000), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_gpu_prices_project_id", "gpu_prices", ["project_id"])
