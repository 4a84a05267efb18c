"""Feedback in telemetry: judgements that emitters put on spans, span events and log records.

Three carriers are read from spans: OpenInference's flattened annotations and evaluations (on the span
judged, or on a later span with one link to it), Logfire's feedback spans (children of the span judged)
and ``gen_ai.evaluation.result`` events. Log records carry the latter, and the scores of Langfuse's
ingestion API. All functions take records without secrets in them, and never raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from spanhouse_server.model.feedback import Feedback
from spanhouse_server.model.raw import RawLog, RawSpan
from spanhouse_server.normalise.langfuse_events import EVENT_PREFIX, OWN_ID, SCORE_EVENT
from spanhouse_server.normalise.values import name_of

EVALUATION_EVENT = "gen_ai.evaluation.result"
LANGFUSE_SCORE = EVENT_PREFIX + SCORE_EVENT

MAX_NAME_CHARACTERS = 100
MAX_LABEL_CHARACTERS = 200
MAX_EXPLANATION_CHARACTERS = 20_000
#: Larger numbers are no judgement; the API refuses them as well.
MAX_VALUE = 1e15
#: Judgements of one kind on one span; indices beyond are not looked at.
MAX_PER_SPAN = 100

#: What OpenInference calls judgements of a span, of its trace and of its session.
_COLLECTIONS = (
    ("annotations", "annotation", "span"),
    ("evaluations", "evaluation", "span"),
    ("trace.annotations", "annotation", "trace"),
    ("trace.evaluations", "evaluation", "trace"),
    ("session.annotations", "annotation", "session"),
    ("session.evaluations", "evaluation", "session"),
)
#: Indices start at zero, so a span without any of these has no annotations; five dictionary look-ups.
_FIRST_NAMES = tuple(f"{many}.0.{one}.name" for many, one, _ in _COLLECTIONS)
_ANNOTATORS = {"HUMAN": "human", "LLM": "judge", "CODE": "sdk"}
_LOGFIRE_NAME = "logfire.feedback.name"
#: Score names are what the filter language can ask for as `score.<name>`.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_ ./:-]")


def span_feedback(raw: RawSpan) -> list[Feedback]:
    """Return the judgements that a span carries, about itself or about others."""
    found: list[Feedback] = []
    attributes = raw.attributes
    if not attributes.keys().isdisjoint(_FIRST_NAMES):
        found += _annotations(raw)
    if _LOGFIRE_NAME in attributes:
        found += _logfire(raw)
    for position, event in enumerate(raw.events):
        if event.name == EVALUATION_EVENT:
            key = ("event", raw.trace_id, raw.span_id, position)
            found += _evaluation(event.attributes, key, event.time_ns, raw.trace_id, raw.span_id)
    return found


def log_feedback(log: RawLog) -> list[Feedback]:
    """Return the judgement that a log record carries, if any."""
    if log.event_name == LANGFUSE_SCORE:
        return list(_langfuse(log))
    if log.event_name != EVALUATION_EVENT:
        return []
    # The conventions of 2025 put values into attributes, some emitters into the body.
    values = {**log.body, **log.attributes} if isinstance(log.body, dict) else log.attributes
    key = ("log", log.trace_id, log.span_id, log.time_ns, _text(values.get("gen_ai.response.id")))
    return list(_evaluation(values, key, log.time_ns, log.trace_id, log.span_id))


def _annotations(raw: RawSpan) -> Iterator[Feedback]:
    target = raw.links[0] if len(raw.links) == 1 else raw
    for many, one, about in _COLLECTIONS:
        for index in range(MAX_PER_SPAN):
            prefix = f"{many}.{index}.{one}."
            if prefix + "name" not in raw.attributes:
                break
            given = {
                field: raw.attributes.get(prefix + field)
                for field in ("name", "score", "label", "explanation", "annotator_kind", "identifier")
            }
            session_id = _text(raw.attributes.get("session.id")) if about == "session" else ""
            if about == "session" and not session_id:
                continue
            trace_id = "" if session_id else target.trace_id
            span_id = target.span_id if about == "span" else ""
            identifier = _text(given["identifier"])
            # A producer's own identifier names the result wherever it is sent from; without one, the carrier does.
            key: tuple[Any, ...] = (
                ("openinference", trace_id, span_id, session_id, given["name"], identifier)
                if identifier
                else ("openinference", raw.trace_id, raw.span_id, many, index, given["name"])
            )
            yield from _feedback(
                key,
                given["name"],
                _tolerant(given["score"]),
                label=given["label"],
                explanation=given["explanation"],
                source=_ANNOTATORS.get(_text(given["annotator_kind"]).upper(), "import"),
                evaluator=identifier,
                created_ns=raw.end_ns,
                trace_id=trace_id,
                span_id=span_id,
                session_id=session_id,
            )


def _logfire(raw: RawSpan) -> Iterator[Feedback]:
    name = raw.attributes[_LOGFIRE_NAME]
    value = raw.attributes.get(name) if isinstance(name, str) else None
    if not raw.parent_span_id:
        return
    yield from _feedback(
        ("logfire", raw.trace_id, raw.span_id),
        name,
        value,
        label=value if isinstance(value, str) else "",
        explanation=raw.attributes.get("logfire.feedback.comment"),
        source="human",
        created_ns=raw.start_ns,
        trace_id=raw.trace_id,
        span_id=raw.parent_span_id,
    )


def _evaluation(
    values: Mapping[str, Any], key: tuple[Any, ...], time_ns: int, trace_id: str, span_id: str
) -> Iterator[Feedback]:
    name = values.get("gen_ai.evaluation.name")
    own_key = _text(values.get("openlit.score.idempotency_key"))
    yield from _feedback(
        ("evaluation", own_key) if own_key else ("evaluation", *key, name),
        name,
        _tolerant(values.get("gen_ai.evaluation.score.value")),
        label=values.get("gen_ai.evaluation.score.label"),
        explanation=values.get("gen_ai.evaluation.explanation"),
        source="judge",
        created_ns=time_ns,
        trace_id=trace_id,
        span_id=span_id,
        response_id="" if span_id else name_of(values.get("gen_ai.response.id")),  # as it is read from spans
    )


def _langfuse(log: RawLog) -> Iterator[Feedback]:
    body = log.body if isinstance(log.body, dict) else {}
    value = body.get("value")
    kind = _text(body.get("dataType")).upper()
    label, explanation = "", _text(body.get("comment"))
    if isinstance(value, str):
        if kind in ("TEXT", "CORRECTION"):  # free text is no label to group by
            label, explanation = kind.lower(), "\n".join(filter(None, (value, explanation)))
        else:
            label = value
    yield from _feedback(
        ("langfuse", _text(log.attributes.get(OWN_ID))),
        body.get("name"),
        value,
        label=label,
        explanation=explanation,
        source="human" if body.get("source") == "ANNOTATION" else "sdk",
        created_ns=log.time_ns,
        trace_id=log.trace_id,
        span_id=log.span_id,
        session_id="" if log.trace_id else _text(body.get("sessionId")),
    )


def _feedback(
    key: tuple[Any, ...],
    name: Any,
    value: Any,
    *,
    label: Any = "",
    explanation: Any = "",
    **rest: Any,
) -> Iterator[Feedback]:
    """Yield the judgement when it has a name, a target and something to say."""
    shown = _NOT_IN_NAMES.sub("_", _text(name).strip())[:MAX_NAME_CHARACTERS].strip()
    number = _number(value)
    made = Feedback(
        score_id=_score_id(key),
        name=shown if shown[:1].isalnum() or shown[:1] == "_" else f"_{shown[1:]}",
        value=number,
        label=_text(label)[:MAX_LABEL_CHARACTERS],
        explanation=_text(explanation)[:MAX_EXPLANATION_CHARACTERS],
        **rest,
    )
    says_something = made.value is not None or made.label or made.explanation
    if shown and says_something and (made.trace_id or made.session_id or made.response_id):
        yield made


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, (int, float)) and abs(value) <= MAX_VALUE:  # also refuses NaN
        return float(value)
    return None


def _tolerant(value: Any) -> Any:
    """Return the number that a text stands for, where an emitter sent one as text."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            return float(value)
        except ValueError:
            return None
    return value


def _score_id(key: tuple[Any, ...]) -> str:
    digest = blake2b("\0".join(map(str, key)).encode("utf-8", "replace"), digest_size=12)
    return f"{key[0]}-{digest.hexdigest()}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
