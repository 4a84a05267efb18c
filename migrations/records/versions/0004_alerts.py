"""Alert rules, channels, silences, alerts, and the outbox of notifications."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _id(name: str = "id", **more: object) -> sa.Column:
    return sa.Column(name, sa.String(32), **more)


def _project() -> sa.Column:
    return sa.Column("project_id", sa.String(64), sa.ForeignKey("projects.id"), nullable=False)


def _text(name: str, length: int = 0) -> sa.Column:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=False)


def _big(name: str, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _of(name: str, target: str, **more: object) -> sa.Column:
    more.setdefault("nullable", False)
    return sa.Column(name, sa.String(32), sa.ForeignKey(f"{target}.id", ondelete="CASCADE"), **more)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "alert_rules",
        _id(primary_key=True),
        _project(),
        _text("name", 200),
        _text("body"),
        *(_big(name) for name in ("created_ns", "updated_ns", "changed_ns")),
        _big("evaluated_s", True),
        *(_text(name) for name in ("observed", "reason", "error")),
        _big("error_since_ns", True),
        sa.Column("took_ms", sa.Float(), nullable=False),
    )
    op.create_index("ix_alert_rules_name", "alert_rules", ["project_id", "name"], unique=True)
    op.create_table(
        "alert_channels",
        _id(primary_key=True),
        _project(),
        _text("name", 200),
        _text("body"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        _big("created_ns"),
        _big("updated_ns"),
    )
    op.create_index("ix_alert_channels_name", "alert_channels", ["project_id", "name"], unique=True)
    op.create_table(
        "alert_silences",
        _id(primary_key=True),
        _project(),
        _text("matchers"),
        _big("starts_ns"),
        _big("ends_ns"),
        _text("note"),
        _text("created_by", 200),
        _big("created_ns"),
    )
    op.create_index("ix_alert_silences_project", "alert_silences", ["project_id", "ends_ns"])
    op.create_table(
        "alerts",
        _id(primary_key=True),
        _project(),
        _id("rule_id", nullable=False),
        _text("rule_name", 200),
        _text("rule_type", 40),
        _big("rule_version"),
        _text("metric", 200),
        _text("fingerprint", 16),
        _text("labels"),
        _text("state", 16),
        _text("severity", 16),
        *(_big(name) for name in ("active_s", "bad_s", "seen_s")),
        *(_big(name, True) for name in ("fired_s", "resolved_s")),
        _text("reason"),
        sa.Column("value", sa.Float(), nullable=True),
        _text("evidence"),
    )
    op.create_index("ix_alerts_project", "alerts", ["project_id", "active_s", "id"])
    op.create_index("ix_alerts_state", "alerts", ["state", "rule_id"])
    op.create_table(
        "alert_transitions",
        _of("alert_id", "alerts", primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        _text("step", 16),
        _big("at_s"),
        sa.Column("value", sa.Float(), nullable=True),
        _text("reason"),
    )
    op.create_table(
        "alert_groups",
        _id(primary_key=True),
        _project(),
        _of("channel_id", "alert_channels"),
        _text("labels"),
        _big("due_ns"),
        _big("notified_ns", True),
        _big("version"),
    )
    op.create_index("ix_alert_groups_due", "alert_groups", ["due_ns"])
    op.create_table(
        "alert_members",
        _of("group_id", "alert_groups", primary_key=True),
        _of("alert_id", "alerts", primary_key=True),
        _text("told", 16),
        _text("told_severity", 16),
    )
    op.create_index("ix_alert_members_alert", "alert_members", ["alert_id"])
    op.create_table(
        "alert_notifications",
        _id(primary_key=True),
        _project(),
        _of("channel_id", "alert_channels"),
        _id("group_id", nullable=False),
        _text("payload"),
        _big("created_ns"),
        _text("state", 16),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _big("next_try_ns"),
        _big("ended_ns", True),
        _text("error"),
    )
    op.create_index("ix_alert_notifications_due", "alert_notifications", ["state", "next_try_ns"])
    op.create_index("ix_alert_notifications_channel", "alert_notifications", ["channel_id", "created_ns"])
