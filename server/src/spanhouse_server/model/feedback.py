"""Judgements that arrive as telemetry, on their way to becoming scores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feedback:
    """One judgement with what it is about: a span, a trace (no span) or a session (no trace).

    ``score_id`` follows from the carrier alone, so the same carrier again gives the same score.
    ``source`` is ``judge human sdk import``. Where only the answer that was judged is known,
    ``response_id`` is its ``gen_ai.response.id``, and the ids may be empty.
    """

    score_id: str
    name: str
    created_ns: int
    value: float | None = None
    label: str = ""
    source: str = "import"
    explanation: str = ""
    evaluator: str = ""
    trace_id: str = ""
    span_id: str = ""
    session_id: str = ""
    response_id: str = ""
