"""The tables of the alert engine. JSON is kept as text; times are nanoseconds (``_ns``) or seconds (``_s``)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from spanhouse_server.store.records.tables import Base


class RuleRecord(Base):
    """A rule; ``body`` is JSON of all its fields that nothing is looked up by."""

    __tablename__ = "alert_rules"
    __table_args__ = (Index("ix_alert_rules_name", "project_id", "name", unique=True),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    created_ns: Mapped[int] = mapped_column(BigInteger)
    updated_ns: Mapped[int] = mapped_column(BigInteger)
    changed_ns: Mapped[int] = mapped_column(BigInteger)
    evaluated_s: Mapped[int | None] = mapped_column(BigInteger)
    observed: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    error: Mapped[str] = mapped_column(Text)
    error_since_ns: Mapped[int | None] = mapped_column(BigInteger)
    took_ms: Mapped[float] = mapped_column(Float)


class ChannelRecord(Base):
    """A channel; ``body`` is JSON of what may be shown, ``sealed`` the encrypted secrets."""

    __tablename__ = "alert_channels"
    __table_args__ = (Index("ix_alert_channels_name", "project_id", "name", unique=True),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_ns: Mapped[int] = mapped_column(BigInteger)
    updated_ns: Mapped[int] = mapped_column(BigInteger)


class SilenceRecord(Base):
    """A silence; ``matchers`` is a JSON list of [label, operator, value]."""

    __tablename__ = "alert_silences"
    __table_args__ = (Index("ix_alert_silences_project", "project_id", "ends_ns"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    matchers: Mapped[str] = mapped_column(Text)
    starts_ns: Mapped[int] = mapped_column(BigInteger)
    ends_ns: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(200))
    created_ns: Mapped[int] = mapped_column(BigInteger)


class AlertRecord(Base):
    """An alert from pending to resolved. It outlives its rule."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_project", "project_id", "active_s", "id"),
        Index("ix_alerts_state", "state", "rule_id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    rule_id: Mapped[str] = mapped_column(String(32))
    rule_name: Mapped[str] = mapped_column(String(200))
    rule_type: Mapped[str] = mapped_column(String(40))
    rule_version: Mapped[int] = mapped_column(BigInteger)
    metric: Mapped[str] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(String(16))
    labels: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    severity: Mapped[str] = mapped_column(String(16))
    active_s: Mapped[int] = mapped_column(BigInteger)
    bad_s: Mapped[int] = mapped_column(BigInteger)
    seen_s: Mapped[int] = mapped_column(BigInteger)
    fired_s: Mapped[int | None] = mapped_column(BigInteger)
    resolved_s: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
    value: Mapped[float | None] = mapped_column(Float)
    evidence: Mapped[str] = mapped_column(Text)


class TransitionRecord(Base):
    """A step of an alert; ``number`` orders those of one moment."""

    __tablename__ = "alert_transitions"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(String(16))
    at_s: Mapped[int] = mapped_column(BigInteger)
    value: Mapped[float | None] = mapped_column(Float)
    reason: Mapped[str] = mapped_column(Text)


class GroupRecord(Base):
    """Alerts that one channel is told together; ``version`` changes with every touch."""

    __tablename__ = "alert_groups"
    __table_args__ = (Index("ix_alert_groups_due", "due_ns"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    channel_id: Mapped[str] = mapped_column(ForeignKey("alert_channels.id", ondelete="CASCADE"))
    labels: Mapped[str] = mapped_column(Text)
    due_ns: Mapped[int] = mapped_column(BigInteger)
    notified_ns: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger)


class MemberRecord(Base):
    """An alert in a group, and what the channel was told of it last."""

    __tablename__ = "alert_members"
    __table_args__ = (Index("ix_alert_members_alert", "alert_id"),)

    group_id: Mapped[str] = mapped_column(ForeignKey("alert_groups.id", ondelete="CASCADE"), primary_key=True)
    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True)
    told: Mapped[str] = mapped_column(String(16))
    told_severity: Mapped[str] = mapped_column(String(16))


class NotificationRecord(Base):
    """The outbox. A row is written with the group's outcome and marked delivered after the receiver said so."""

    __tablename__ = "alert_notifications"
    __table_args__ = (
        Index("ix_alert_notifications_due", "state", "next_try_ns"),
        Index("ix_alert_notifications_channel", "channel_id", "created_ns"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    channel_id: Mapped[str] = mapped_column(ForeignKey("alert_channels.id", ondelete="CASCADE"))
    group_id: Mapped[str] = mapped_column(String(32))
    payload: Mapped[str] = mapped_column(Text)
    created_ns: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    tried_ns: Mapped[int | None] = mapped_column(BigInteger)
    next_try_ns: Mapped[int] = mapped_column(BigInteger)
    ended_ns: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(Text)
