"""Reads a batch of Langfuse's ingestion API into log records, one per event.

As log records the events take the same way as all telemetry: durable in the spool before the answer,
stored once however often they are sent, without secrets. The drain makes spans and scores of them
(``normalise/langfuse_events.py``, ``normalise/feedback.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from spanhouse_server.clock import now_ns
from spanhouse_server.decode import MAX_RECORD_BYTES, Checked, load_json
from spanhouse_server.errors import BadRequest, UndecodableBody
from spanhouse_server.normalise.langfuse_events import (
    EVENT_PREFIX,
    OWN_ID,
    SCORE_EVENT,
    SDK_NAME,
    SDK_VERSION,
    TRACE_EVENT,
    is_observation_event,
    root_hex,
    span_hex,
    time_ns,
    trace_hex,
)

#: Events in one batch; Langfuse's SDKs send a few dozen.
MAX_EVENTS = 10_000
#: Fields of one event's body; Langfuse knows about thirty.
MAX_FIELDS = 100
MAX_ID_CHARACTERS = 500
#: Events that are about the SDK itself and change nothing that is kept.
_IGNORED = ("sdk-log",)

Body = dict[str, Any]


@dataclass(slots=True)
class Batch:
    """The events of one request as an OTLP log request, and what Langfuse would answer about each.

    ``is_list`` is false for the single score of ``POST /scores``, which is answered in another form.
    """

    message: ExportLogsServiceRequest = field(default_factory=ExportLogsServiceRequest)
    accepted: int = 0
    successes: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    is_list: bool = True

    def checked(self) -> Checked:
        """Return the batch's counts as the receiver keeps them."""
        return Checked(self.accepted, {"invalid_langfuse_event": len(self.errors)} if self.errors else {})


def read_batch(body: bytes, sdk: Mapping[str, str]) -> Batch:
    """Return the events of a request's body; raise ``UndecodableBody`` when it is no batch at all.

    An event that cannot be used is reported in ``errors`` and costs the others nothing. ``sdk`` has the
    sender's ``name`` and ``version`` where its headers tell.
    """
    read = load_json(body)
    events = read.get("batch") if isinstance(read, dict) else None
    if not isinstance(events, list):
        raise UndecodableBody("the body has no list `batch`", 'send {"batch": [{"id", "timestamp", "type", "body"}]}')
    return _batch(events, sdk)


def read_scores(body: bytes, sdk: Mapping[str, str]) -> Batch:
    """Return the score, or the list of scores (SDK 5), of ``POST /scores`` as a batch; raises like ``read_batch``."""
    read = load_json(body)
    if not isinstance(read, (dict, list)):
        raise UndecodableBody("the body is neither a score nor a list of scores")
    received = datetime.now(UTC).isoformat()
    batch = _batch([_score_event(score, received) for score in (read if isinstance(read, list) else [read])], sdk)
    batch.is_list = isinstance(read, list)
    return batch


def _score_event(score: Any, received: str) -> Any:
    if not isinstance(score, dict):
        return None
    own_id, given = score.get("id"), score.get("timestamp")
    return {
        "id": own_id if isinstance(own_id, str) and own_id else str(uuid4()),
        "type": SCORE_EVENT,
        "timestamp": received if given is None else given,
        "body": score,
    }


def _batch(events: list[Any], sdk: Mapping[str, str]) -> Batch:
    if len(events) > MAX_EVENTS:
        raise BadRequest(f"{len(events)} events in one batch, at most {MAX_EVENTS}", "send smaller batches")
    batch = Batch()
    records = batch.message.resource_logs.add().scope_logs.add()
    records.scope.name = "langfuse-sdk"
    records.scope.version = sdk.get("version", "")
    traces = _traces_by_observation(events)
    for event in events:
        event_id = event.get("id") if isinstance(event, dict) else None
        shown_id = event_id if isinstance(event_id, str) else ""
        try:
            if not isinstance(event, dict) or not isinstance(event_id, str):
                raise BadRequest("an event is an object with a text `id`")
            if event.get("type") not in _IGNORED:
                records.log_records.append(_record(event, event_id, traces, sdk))
                batch.accepted += 1
            batch.successes.append({"id": shown_id[:MAX_ID_CHARACTERS], "status": 201})
        except BadRequest as error:
            text = error.said
            batch.errors.append(
                {"id": shown_id[:MAX_ID_CHARACTERS], "status": 400, "message": "Invalid request data", "error": text}
            )
    return batch


def _traces_by_observation(events: list[Any]) -> dict[str, str]:
    """Return the trace of each observation that some event of the batch names it for."""
    found = {}
    for event in events:
        body = event.get("body") if isinstance(event, dict) else None
        if isinstance(body, dict) and isinstance(body.get("id"), str) and isinstance(body.get("traceId"), str):
            found[body["id"]] = body["traceId"]
    return found


def _record(event: Body, event_id: str, traces: Mapping[str, str], sdk: Mapping[str, str]) -> LogRecord:
    """Return one event as a log record; raise ``BadRequest`` saying what is wrong with it."""
    kind, body = event.get("type"), event.get("body")
    if not isinstance(kind, str) or not (kind in (TRACE_EVENT, SCORE_EVENT) or is_observation_event(kind)):
        raise BadRequest(f"events of type {str(kind)[:60]!r} are not kept here", "traces, observations and scores are")
    if not isinstance(body, dict) or len(body) > MAX_FIELDS:
        raise BadRequest(f"the event's `body` is not an object of at most {MAX_FIELDS} fields")
    moment_ns = time_ns(event.get("timestamp"))
    if moment_ns is None:
        raise BadRequest("the event's `timestamp` is no ISO 8601 time after 1970")
    if kind == SCORE_EVENT:
        own_id, trace_id, span_id = _score_target(body, event_id)
    elif kind == TRACE_EVENT:
        own_id = _id(body, "id") or event_id
        trace_id = trace_hex(own_id)
        span_id = root_hex(trace_id)
    else:
        own_id, trace_id, span_id = _observation_target(kind, body, event_id, traces)
    for name in ("startTime", "endTime", "timestamp"):
        if body.get(name) is not None and time_ns(body[name]) is None:
            raise BadRequest(f"`{name}` is no ISO 8601 time after 1970")
    record = LogRecord(
        time_unix_nano=moment_ns,
        observed_time_unix_nano=now_ns(),
        event_name=EVENT_PREFIX + kind,
        trace_id=bytes.fromhex(trace_id),
        span_id=bytes.fromhex(span_id),
        attributes=_pairs({OWN_ID: own_id, "langfuse.event.id": event_id, SDK_NAME: sdk.get("name", ""),
                           SDK_VERSION: sdk.get("version", "")}),
    )  # fmt: skip
    record.body.kvlist_value.values.extend(_pairs(body))
    if record.ByteSize() > MAX_RECORD_BYTES:
        raise BadRequest(f"the event is larger than {MAX_RECORD_BYTES} bytes")
    return record


def _score_target(body: Body, event_id: str) -> tuple[str, str, str]:
    if not isinstance(body.get("name"), str) or not body["name"].strip():
        raise BadRequest("a score needs a text `name`")
    value = body.get("value")
    if not isinstance(value, (str, bool, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        raise BadRequest("a score needs a `value`: a number or a text")
    trace, observation = _id(body, "traceId"), _id(body, "observationId")
    if not trace and not _id(body, "sessionId"):
        raise BadRequest("a score needs a `traceId` or a `sessionId`")
    own_id = _id(body, "id") or event_id
    return own_id, trace_hex(trace) if trace else "", span_hex(observation) if trace and observation else ""


def _observation_target(kind: str, body: Body, event_id: str, traces: Mapping[str, str]) -> tuple[str, str, str]:
    own_id = _id(body, "id")
    if not own_id:
        if kind.endswith("-update"):
            raise BadRequest("an update needs the `id` of its observation")
        own_id = event_id
    trace = _id(body, "traceId") or traces.get(own_id)
    if not trace:
        if kind.endswith("-update"):
            raise BadRequest("an update needs the `traceId` of its observation")
        trace = own_id  # as Langfuse does: an observation without a trace gets one of its own
    return own_id, trace_hex(trace), span_hex(own_id)


def _id(body: Body, name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_ID_CHARACTERS:
        raise BadRequest(f"`{name}` is not a text of at most {MAX_ID_CHARACTERS} characters")
    return value


def _pairs(values: Mapping[str, Any]) -> list[KeyValue]:
    """Return fields as OTLP attributes; objects and lists become JSON text, missing ones are left out."""
    return [KeyValue(key=name, value=_value(value)) for name, value in values.items() if value is not None]


def _value(value: Any) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return AnyValue(int_value=value)
    return AnyValue(string_value=orjson.dumps(value).decode())
