"""The tables of the records store. Times are nanoseconds since 1970."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables; ``Base.metadata`` is what the migrations must add up to."""


class ProjectRecord(Base):
    """A tenant."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    created_ns: Mapped[int] = mapped_column(BigInteger)
    retention_days: Mapped[int]


class KeyRecord(Base):
    """An API key.

    Only its SHA-256 is kept. The secret is 192 random bits, which no one can guess from a hash,
    so a slow password hash would only slow down every request.
    """

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_project_id", "project_id"), Index("ix_api_keys_hash", "hash", unique=True))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(16))
    hash: Mapped[str] = mapped_column(String(64))
    created_ns: Mapped[int] = mapped_column(BigInteger)
    revoked_ns: Mapped[int | None] = mapped_column(BigInteger)


class SettingRecord(Base):
    """A stored setting."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class PriceRecord(Base):
    """An own price of a project; ``rates`` is a JSON object of decimal strings by name."""

    __tablename__ = "prices"
    __table_args__ = (Index("ix_prices_project_id", "project_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    model: Mapped[str] = mapped_column(String(200))
    provider: Mapped[str] = mapped_column(String(100))
    service_tier: Mapped[str] = mapped_column(String(40))
    above_input_tokens: Mapped[int] = mapped_column(BigInteger)
    from_ns: Mapped[int] = mapped_column(BigInteger)
    until_ns: Mapped[int | None] = mapped_column(BigInteger)
    rates: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(String(500))
    created_ns: Mapped[int] = mapped_column(BigInteger)
