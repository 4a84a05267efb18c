"""The tables of background workers. Times are nanoseconds since 1970."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from spanhouse_server.store.records.tables import Base


class LeaseRecord(Base):
    """Who does a worker's work, under which fence, and how far it is."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    holder: Mapped[str] = mapped_column(String(100))
    fence: Mapped[int] = mapped_column(BigInteger)
    beat: Mapped[int] = mapped_column(BigInteger)
    position_ns: Mapped[int] = mapped_column(BigInteger)
    covered_ns: Mapped[int] = mapped_column(BigInteger)
    updated_ns: Mapped[int] = mapped_column(BigInteger)


class BackfillRecord(Base):
    """A range of time that a worker is asked to derive again; ``project_id`` is empty for all projects."""

    __tablename__ = "backfills"
    __table_args__ = (Index("ix_backfills_worker_state", "worker", "state"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    worker: Mapped[str] = mapped_column(String(100))
    project_id: Mapped[str] = mapped_column(String(64))
    from_ns: Mapped[int] = mapped_column(BigInteger)
    to_ns: Mapped[int] = mapped_column(BigInteger)
    position_ns: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(20))
    windows: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(String(500))
    created_ns: Mapped[int] = mapped_column(BigInteger)
    ended_ns: Mapped[int | None] = mapped_column(BigInteger)
