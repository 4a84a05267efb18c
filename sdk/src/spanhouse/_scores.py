"""Feedback on a trace, a span or a session, posted in the background."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Sequence
from typing import Any

from opentelemetry import trace

from spanhouse._context import current_session
from spanhouse._log import logger, warn_rarely
from spanhouse._serialize import clip, to_json, well_formed
from spanhouse._state import STATE

MAX_LABEL_CHARACTERS = 200
MAX_EXPLANATION_CHARACTERS = 10_000


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
    if trace_id is None and session_id is None:
        context = trace.get_current_span().get_span_context()
        if context.is_valid and not context.trace_flags & 1:
            # The trace is not recorded, so there is nothing this could be shown with.
            return None
        if context.is_valid:
            trace_id, span_id = f"{context.trace_id:032x}", span_id or f"{context.span_id:016x}"
        else:
            session_id = current_session()
    if trace_id is None and session_id is None:
        logger.warning("score %r is outside any span and names no trace or session; it is not sent", name)
        return None
    try:
        body: dict[str, Any] = {"id": uuid.uuid4().hex, "name": str(name), "source": "sdk"}
        # A score is of a trace, or a span in it, or else of a session.
        body.update({"trace_id": trace_id, "span_id": span_id or ""} if trace_id else {"session_id": str(session_id)})
        if value is not None:
            body["value"] = float(value)
            if not math.isfinite(body["value"]):
                raise ValueError("not a finite number")
        if label is not None:
            body["label"] = clip(str(label), MAX_LABEL_CHARACTERS)
        if explanation is not None:
            body["explanation"] = clip(str(explanation), MAX_EXPLANATION_CHARACTERS)
        state.sender.put(state.lanes["scores"], body, 300 + len(body.get("explanation", "")))
    except Exception as error:
        warn_rarely("score", "score %s could not be recorded: %s: %s", name, type(error).__name__, error)
        return None
    return str(body["id"])


def encode_scores(scores: Sequence[dict[str, Any]]) -> bytes:
    """Return the JSON body of one or several scores, their explanations masked."""
    policy = STATE.policy
    bodies = []
    for score_body in scores:
        body = dict(score_body)
        if "explanation" in body and policy.mask is not None:
            masked = policy.masked("score.explanation", body["explanation"])
            body["explanation"] = masked if isinstance(masked, str) else to_json(masked)
        bodies.append(body)
    return well_formed(json.dumps(bodies[0] if len(bodies) == 1 else bodies, ensure_ascii=False)).encode()
