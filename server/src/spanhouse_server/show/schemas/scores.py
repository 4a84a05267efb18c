"""Scores: judgements by people, judges and applications."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from spanhouse_server.show.schemas.common import Body, Reply

HexTraceId = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")]
HexSpanId = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{16})?$")]
ScoreName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_ ./:-]*$")]
ScoreSource = Literal["human", "sdk", "judge", "import"]


class Score(Reply):
    """One stored score. On a trace ``span_id`` is empty, on a session ``trace_id`` is."""

    id: str
    trace_id: str
    span_id: str
    session_id: str
    name: str
    value: float | None
    label: str
    source: str
    explanation: str
    evaluator: str
    created_at: str


class ScoreList(Reply):
    """Scores, newest first."""

    items: list[Score]
    next_cursor: str | None


class ScoresStored(Reply):
    """What was stored, in the order given."""

    items: list[Score]


class ScoreInput(Body):
    """A score to store. Sent again with the same ``id`` it replaces the earlier value."""

    id: str = Field(default="", max_length=100, pattern=r"^[A-Za-z0-9_.:-]*$", description="Empty: one is made.")
    trace_id: HexTraceId = ""
    span_id: HexSpanId = ""
    session_id: str = Field(default="", max_length=500)
    name: ScoreName
    value: float | None = Field(default=None, allow_inf_nan=False, ge=-1e15, le=1e15)
    label: str = Field(default="", max_length=200)
    source: ScoreSource = "human"
    explanation: str = Field(default="", max_length=20_000)
    evaluator: str = Field(default="", max_length=200)

    @model_validator(mode="after")
    def _names_one_target(self) -> ScoreInput:
        if bool(self.trace_id) == bool(self.session_id):
            raise ValueError("give either trace_id (with span_id for one span) or session_id")
        if self.span_id and not self.trace_id:
            raise ValueError("span_id needs its trace_id")
        if self.value is None and not self.label:
            raise ValueError("give a value, a label or both")
        return self
