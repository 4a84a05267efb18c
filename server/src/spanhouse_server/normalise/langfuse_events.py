"""Langfuse's ingestion events as spans.

Langfuse's older SDKs tell a span's story in pieces: an observation is created, updated any number of
times, and its trace is a thing of its own. The pieces are kept as log records (one per event, see
``receive/langfuse_ingestion.py``); what is here makes a span of all the pieces known so far, whichever
came first. The same set of pieces always gives the same span.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import orjson

from spanhouse_server.clock import MAX_TIME_NS, NS_PER_S
from spanhouse_server.model.raw import Attributes, RawLog, RawSpan, Scope

#: Event names of the log records begin so: ``langfuse.generation-create``.
EVENT_PREFIX = "langfuse."
#: The attribute of such a record that holds the observation's or trace's own id.
OWN_ID = "langfuse.id"
TRACE_ID = "langfuse.trace.id"
SDK_NAME = "langfuse.sdk.name"
SDK_VERSION = "langfuse.sdk.version"

TRACE_EVENT = "trace-create"
SCORE_EVENT = "score-create"
_KINDS = "span|generation|event|observation|agent|tool|chain|retriever|evaluator|embedding|guardrail"
_OBSERVATION_EVENT = re.compile(rf"({_KINDS})-(create|update)")
_HEX = re.compile(r"[0-9a-f]+")

#: Where the fields of an event's body go; those of both kinds, of observations, of traces.
_COMMON = {"environment": "langfuse.environment", "release": "langfuse.release", "version": "langfuse.version"}
_OBSERVATION = {
    "model": "langfuse.observation.model.name",
    "modelParameters": "langfuse.observation.model.parameters",
    "input": "langfuse.observation.input",
    "output": "langfuse.observation.output",
    "usageDetails": "langfuse.observation.usage_details",
    "costDetails": "langfuse.observation.cost_details",
    "completionStartTime": "langfuse.observation.completion_start_time",
    "level": "langfuse.observation.level",
    "statusMessage": "langfuse.observation.status_message",
    "promptName": "langfuse.observation.prompt.name",
    "promptVersion": "langfuse.observation.prompt.version",
}
_TRACE = {
    "name": "langfuse.trace.name",
    "input": "langfuse.observation.input",  # the root is the trace's stand-in: what it was asked is its own input
    "output": "langfuse.observation.output",
    "tags": "langfuse.trace.tags",
    "public": "langfuse.trace.public",
    "sessionId": "session.id",
    "userId": "user.id",
}
#: The names of a field of ``usage`` in Langfuse's and in OpenAI's spelling, and the one it gets.
_USAGE = {
    "input": "input",
    "promptTokens": "input",
    "prompt_tokens": "input",
    "output": "output",
    "completionTokens": "output",
    "completion_tokens": "output",
    "total": "total",
    "totalTokens": "total",
    "total_tokens": "total",
}
_COSTS = {"inputCost": "input", "outputCost": "output", "totalCost": "total"}


def is_observation_event(kind: str) -> bool:
    """Tell whether an event type (``span-create`` …) is about an observation."""
    return _OBSERVATION_EVENT.fullmatch(kind) is not None


def is_span_piece(log: RawLog) -> bool:
    """Tell whether a log record is a piece of a span that ``span_of`` reads."""
    if not log.event_name.startswith(EVENT_PREFIX) or not log.trace_id or not log.span_id:
        return False
    kind = log.event_name.removeprefix(EVENT_PREFIX)
    return kind == TRACE_EVENT or is_observation_event(kind)


def trace_hex(langfuse_id: str) -> str:
    """Return the trace id for a Langfuse trace id: its own digits where it is a UUID or hex already."""
    digits = langfuse_id.lower().replace("-", "")
    if len(digits) == 32 and _HEX.fullmatch(digits) and digits.strip("0"):
        return digits
    return blake2b(b"langfuse trace\0" + langfuse_id.encode("utf-8", "replace"), digest_size=16).hexdigest()


def span_hex(langfuse_id: str) -> str:
    """Return the span id for a Langfuse observation id: itself where it is one already."""
    digits = langfuse_id.lower()
    if len(digits) == 16 and _HEX.fullmatch(digits) and digits.strip("0"):
        return digits
    return blake2b(b"langfuse observation\0" + langfuse_id.encode("utf-8", "replace"), digest_size=8).hexdigest()


def root_hex(trace_id: str) -> str:
    """Return the id of the span that stands for a Langfuse trace; ``trace_id`` is in hex."""
    return span_hex(f"trace {trace_id}")


def time_ns(value: Any) -> int | None:
    """Return an ISO 8601 time in nanoseconds, or nothing for what is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    found = (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000
    return found if 0 < found <= MAX_TIME_NS else None


def span_of(trace_id: str, span_id: str, pieces: Sequence[RawLog], latest_ns: int = 0) -> RawSpan | None:
    """Return the span that these pieces tell of, or nothing when none of them does.

    ``latest_ns`` is the latest end of the trace's other spans: a trace itself says no end. Never raises.
    """
    pieces = sorted((piece for piece in pieces if is_span_piece(piece)), key=_order)
    if not pieces:
        return None
    about_trace = span_id == root_hex(trace_id)
    body, metadata = _merged(pieces)
    first, last = pieces[0], pieces[-1]
    attributes: Attributes = {f"langfuse.observation.{OWN_ID.rpartition('.')[2]}": last.attributes.get(OWN_ID, "")}
    if about_trace:
        attributes = {TRACE_ID: last.attributes.get(OWN_ID, "")}
    attributes["langfuse.observation.type"] = "span" if about_trace else _type_of(pieces, body)
    for field, key in ((_TRACE if about_trace else _OBSERVATION) | _COMMON).items():
        if body.get(field) is not None:
            attributes[key] = body[field]
    prefix = "langfuse.trace.metadata" if about_trace else "langfuse.observation.metadata"
    attributes |= {f"{prefix}.{name}" if name else prefix: value for name, value in metadata.items()}
    if not about_trace:
        _add_usage(body, attributes)
    flags: list[str] = []
    start_ns = _first_stated_ns(pieces) if about_trace else time_ns(body.get("startTime"))
    start_ns = start_ns or first.time_ns
    end_ns = max(start_ns, latest_ns) if about_trace else _end_ns(body, attributes, start_ns, flags)
    name = body.get("name")
    parent = body.get("parentObservationId")
    failed = body.get("level") == "ERROR"
    return RawSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id="" if about_trace else span_hex(parent) if isinstance(parent, str) else root_hex(trace_id),
        name=name if isinstance(name, str) else "trace" if about_trace else attributes["langfuse.observation.type"],
        kind="client" if attributes["langfuse.observation.type"] in ("generation", "embedding") else "internal",
        start_ns=start_ns,
        end_ns=end_ns,
        status_code="error" if failed else "unset",
        status_message=_text(body.get("statusMessage")) if failed else "",
        attributes=attributes,
        events=[],
        links=[],
        resource=last.resource,
        scope=Scope("langfuse-sdk", _text(last.attributes.get(SDK_VERSION))),
        flags=flags,
    )


def _order(piece: RawLog) -> tuple[int, bool, str]:
    # As Langfuse does: by the sender's clock, and of the same instant the creation first.
    return piece.time_ns, not piece.event_name.endswith("-create"), _text(piece.attributes.get("langfuse.event.id"))


def _first_stated_ns(pieces: Sequence[RawLog]) -> int | None:
    """Return when a trace began: the JavaScript SDK stamps every update of it with the time of the update."""
    stated = (time_ns(piece.body.get("timestamp")) for piece in pieces if isinstance(piece.body, dict))
    return min(filter(None, stated), default=None)


def _merged(pieces: Sequence[RawLog]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields and the metadata of all pieces: later ones win, missing ones change nothing."""
    body: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    tags: list[Any] = []
    for piece in pieces:
        if not isinstance(piece.body, dict):
            continue
        body |= {name: value for name, value in piece.body.items() if value is not None}
        metadata |= _named(piece.body.get("metadata"))
        given = _parsed(piece.body.get("tags"))
        tags += [tag for tag in given if tag not in tags] if isinstance(given, list) else []
    if tags:
        body["tags"] = orjson.dumps(tags).decode()
    return body, metadata


def _named(metadata: Any) -> dict[str, Any]:
    """Return metadata by name; what is no object is kept under the empty name."""
    value = _parsed(metadata)
    if value is None:
        return {}
    if not isinstance(value, dict):
        return {"": metadata}
    return {
        name: item if isinstance(item, (str, bool, int, float)) else orjson.dumps(item).decode()
        for name, item in value.items()
        if item is not None
    }


def _type_of(pieces: Sequence[RawLog], body: Mapping[str, Any]) -> str:
    kinds = [piece.event_name.removeprefix(EVENT_PREFIX).partition("-")[0] for piece in pieces]
    # `observation-create` says what it is in its body; a creation knows better than an update.
    named = next((kind for kind in kinds if kind not in ("span", "observation")), kinds[0])
    stated = body.get("type")
    if named == "observation":
        return stated.lower() if isinstance(stated, str) else "span"
    return named


def _end_ns(body: Mapping[str, Any], attributes: Attributes, start_ns: int, flags: list[str]) -> int:
    end_ns = time_ns(body.get("endTime"))
    if end_ns is None:
        if attributes["langfuse.observation.type"] != "event":
            flags.append("missing_end_time")
        return start_ns
    if end_ns < start_ns:
        flags.append("end_before_start")
        return start_ns
    return end_ns


def _add_usage(body: Mapping[str, Any], attributes: Attributes) -> None:
    """Fold the older ``usage`` field, which carries costs as well, into the newer two."""
    usage = _parsed(body.get("usage"))
    if not isinstance(usage, dict):
        return
    for names, key in (
        (_USAGE, "langfuse.observation.usage_details"),
        (_COSTS, "langfuse.observation.cost_details"),
    ):
        found = {names[name]: value for name, value in usage.items() if name in names and value is not None}
        if found and key not in attributes:
            attributes[key] = orjson.dumps(found).decode()


def _parsed(value: Any) -> Any:
    """Return what a field holds that was an object or list when it was sent (and is JSON text since)."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
