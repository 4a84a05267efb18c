"""Feedback on a trace, a span or a session, posted in the background."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from opentelemetry import trace

from spanhouse._context import current_session
from spanhouse._log import logger, warn_rarely
from spanhouse._serialize import clip, to_json, well_formed
from spanhouse._state import STATE


def score(
    name: str,
    value: float | bool | None = None,
    label: str | None = None,
    explanation: str | None = None,
    trace_id: str | None = None,
    span_id: str | None = None,
    session_id: str | None = None,
) -> str | None:
    """Record a judgement and return its id; the current span is judged when nothing else is named.

    ``value``: a number (booleans count as 1 and 0); ``label``: a word such as ``helpful``; at least
    one of them. ``trace_id`` and ``span_id`` are lower-case hex as in ``Span.trace_id``.
    """
    state = STATE
    if not state.active or state.sender is None:
        return None
    if value is None and label is None:
        logger.warning("score %r has neither value nor label and is not sent", name)
        return None
    if trace_id is None and span_id is None and session_id is None:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            if not context.trace_flags & 1:
                # The trace is not recorded, so there is nothing this could be shown with.
                return None
            trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        session_id = current_session() if trace_id is None else None
        if trace_id is None and session_id is None:
            logger.warning("score %r is outside any span and names no trace or session; it is not sent", name)
            return None
    try:
        body: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "trace_id": trace_id,
            "span_id": span_id,
            "session_id": session_id,
            "name": str(name),
            "value": None if value is None else float(value),
            "label": None if label is None else str(label),
            "explanation": None if explanation is None else clip(str(explanation), 10_000),
            "source": "sdk",
        }
        state.sender.put(state.lanes["scores"], body, 300 + len(body["explanation"] or ""))
    except Exception as error:
        warn_rarely("score", "score %s could not be recorded: %s: %s", name, type(error).__name__, error)
        return None
    return str(body["id"])


def encode_score(scores: Sequence[dict[str, Any]]) -> bytes:
    """Return the JSON body of one score, its explanation masked."""
    body = dict(scores[0])
    policy = STATE.policy
    if body["explanation"] is not None:
        body["explanation"] = policy.masked("score.explanation", body["explanation"])
        if not isinstance(body["explanation"], str):
            body["explanation"] = to_json(body["explanation"])
    return well_formed(json.dumps(body, ensure_ascii=False)).encode()
