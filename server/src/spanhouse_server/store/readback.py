"""Rows of ``spans`` and ``logs`` back to the raw records they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from spanhouse_server.model.raw import RawEvent, RawLink, RawLog, RawSpan, Scope

#: The columns of ``spans`` that ``raw_span`` needs.
RAW_SPAN_COLUMNS = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "kind",
    "status_code",
    "status_message",
    "start_ns",
    "end_ns",
    "attributes",
    "events",
    "links",
    "resource",
    "scope",
    "trace_state",
    "dropped_attributes",
    "dropped_events",
    "dropped_links",
    "flags",
)

#: The columns of ``logs`` that ``raw_log`` needs.
RAW_LOG_COLUMNS = (
    "time_ns",
    "observed_ns",
    "severity_number",
    "severity_text",
    "event_name",
    "body",
    "attributes",
    "resource",
    "scope",
    "trace_id",
    "span_id",
)


def raw_span(row: Mapping[str, Any]) -> RawSpan:
    """Return the span as its sender wrote it, from a row with ``RAW_SPAN_COLUMNS``."""
    return RawSpan(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        parent_span_id=row["parent_span_id"],
        name=row["name"],
        kind=row["kind"],
        start_ns=row["start_ns"],
        end_ns=row["end_ns"],
        status_code=row["status_code"],
        status_message=row["status_message"],
        attributes=_object(row["attributes"]),
        events=[RawEvent(e["name"], e["time_ns"], e["attributes"]) for e in _array(row["events"])],
        links=[RawLink(x["trace_id"], x["span_id"], x["trace_state"], x["attributes"]) for x in _array(row["links"])],
        resource=_object(row["resource"]),
        scope=_scope(row["scope"]),
        trace_state=row["trace_state"],
        dropped_attributes=row["dropped_attributes"],
        dropped_events=row["dropped_events"],
        dropped_links=row["dropped_links"],
        flags=list(row["flags"]),
    )


def raw_log(row: Mapping[str, Any]) -> RawLog:
    """Return the log record as its sender wrote it, from a row with ``RAW_LOG_COLUMNS``."""
    return RawLog(
        time_ns=row["time_ns"],
        observed_ns=row["observed_ns"],
        severity_number=row["severity_number"],
        severity_text=row["severity_text"],
        event_name=row["event_name"],
        body=orjson.loads(row["body"]) if row["body"] else None,
        attributes=_object(row["attributes"]),
        resource=_object(row["resource"]),
        scope=_scope(row["scope"]),
        trace_id=row["trace_id"],
        span_id=row["span_id"],
    )


def _object(text: str) -> dict[str, Any]:
    return orjson.loads(text) if text else {}


def _array(text: str) -> list[dict[str, Any]]:
    return orjson.loads(text) if text else []


def _scope(text: str) -> Scope:
    read = _object(text)
    return Scope(read.get("name", ""), read.get("version", ""), read.get("attributes", {}))
