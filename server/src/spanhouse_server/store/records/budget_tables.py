"""The tables of budgets, service levels and GPU prices. Exact numbers are kept as text."""

from __future__ import annotations

from sqlalchemy import BigInteger, Double, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from spanhouse_server.store.records.tables import Base


class BudgetRecord(Base):
    """A budget; ``thresholds`` are whole per cents with commas between."""

    __tablename__ = "budgets"
    __table_args__ = (Index("ix_budgets_project_id", "project_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(200))
    limit_usd: Mapped[str] = mapped_column(String(40))
    period: Mapped[str] = mapped_column(String(20))
    rolling_hours: Mapped[int]
    time_zone: Mapped[str] = mapped_column(String(100))
    q: Mapped[str] = mapped_column(Text)
    per: Mapped[str] = mapped_column(String(200))
    thresholds: Mapped[str] = mapped_column(String(200))
    enforce: Mapped[bool]
    enabled: Mapped[bool]
    note: Mapped[str] = mapped_column(String(2000))
    created_ns: Mapped[int] = mapped_column(BigInteger)
    updated_ns: Mapped[int] = mapped_column(BigInteger)


class CrossingRecord(Base):
    """A threshold that a budget reached in a period. The key makes it one, whoever notices it how often.

    ``value_hash`` stands for ``value`` in the key, since values are as long as senders make them.
    """

    __tablename__ = "budget_crossings"

    budget_id: Mapped[str] = mapped_column(ForeignKey("budgets.id", ondelete="CASCADE"), primary_key=True)
    period_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value_hash: Mapped[str] = mapped_column(String(32), primary_key=True)
    threshold: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(String(500))
    crossed_ns: Mapped[int] = mapped_column(BigInteger)
    used_usd: Mapped[str] = mapped_column(String(60))


class SloRecord(Base):
    """A service level."""

    __tablename__ = "slos"
    __table_args__ = (Index("ix_slos_project_id", "project_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(200))
    objective: Mapped[str] = mapped_column(String(40))
    indicator: Mapped[str] = mapped_column(String(20))
    unit: Mapped[str] = mapped_column(String(20))
    latency_of: Mapped[str] = mapped_column(String(20))
    threshold_ms: Mapped[float] = mapped_column(Double)
    q: Mapped[str] = mapped_column(Text)
    window_days: Mapped[int]
    min_events: Mapped[int]
    min_bad_events: Mapped[int]
    enabled: Mapped[bool]
    note: Mapped[str] = mapped_column(String(2000))
    created_ns: Mapped[int] = mapped_column(BigInteger)
    updated_ns: Mapped[int] = mapped_column(BigInteger)


class GpuPriceRecord(Base):
    """What GPUs of one's own cost."""

    __tablename__ = "gpu_prices"
    __table_args__ = (Index("ix_gpu_prices_project_id", "project_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(200))
    q: Mapped[str] = mapped_column(Text)
    gpu_count: Mapped[str] = mapped_column(String(40))
    usd_per_gpu_hour: Mapped[str] = mapped_column(String(40))
    gpu_type: Mapped[str] = mapped_column(String(100))
    from_ns: Mapped[int] = mapped_column(BigInteger)
    until_ns: Mapped[int | None] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(String(2000))
    created_ns: Mapped[int] = mapped_column(BigInteger)
