"""What every reply shares: the error shape, score summaries, pages."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Reply(BaseModel):
    """Base of replies. Optional fields without a default are always present, as ``null``."""

    model_config = ConfigDict(extra="forbid")


class Body(BaseModel):
    """Base of request bodies: unknown fields are refused, so that a typo is not ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class ErrorDetail(BaseModel):
    """What went wrong, in one sentence, and what to do about it."""

    code: str = Field(description="Stable, machine readable, e.g. bad_query, not_found.")
    message: str
    hint: str = Field(description="One sentence of advice; may be empty.")
    position: int | None = Field(default=None, description="Character offset of the token at fault in q.")
    length: int | None = Field(default=None, description="Length of that token in characters.")
    details: list[dict[str, Any]] | None = Field(default=None, description="One entry per invalid parameter.")


class ErrorReply(BaseModel):
    """The one shape of every error of this API."""

    error: ErrorDetail


class ScoreSummary(Reply):
    """The scores of one name on one thing: their mean, the newest label, how many."""

    value: float | None
    label: str
    count: int


class Done(Reply):
    """The answer to something that has no other result."""

    ok: bool
