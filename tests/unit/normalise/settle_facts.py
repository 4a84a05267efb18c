"""Facts for tests: everything empty but what a test names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from spanhouse_server.model.facts import SettledTrace, SpanFacts
from spanhouse_server.normalise.settle import settle
from spanhouse_server.normalise.settle_across import doubles_across, reports_in

_EMPTY: dict[str, Any] = {
    "trace_id": "t",
    "version": 1,
    "received_at": 1,
    "retention_days": 30,
    "name": "",
    "status_code": "unset",
    "start_ns": 100,
    "end_ns": 200,
    "category": "other",
}
_LISTS = {"finish_reasons", "tags"}
_MISSING = {each.name for each in fields(SpanFacts) if each.name.endswith(("_tokens", "_usd", "ttft_ns"))}


def fact(span_id: str, parent_span_id: str = "", **given: Any) -> SpanFacts:
    """Return the facts of a span."""
    values: dict[str, Any] = {"span_id": span_id, "parent_span_id": parent_span_id, **_EMPTY, **given}
    for each in fields(SpanFacts):
        name = each.name
        if name not in values:
            values[name] = None if name in _MISSING else [] if name in _LISTS else {} if name == "metadata" else ""
    return SpanFacts(**values)


def settle_all(facts: Iterable[SpanFacts]) -> dict[str, SettledTrace]:
    """Return the traces of one project, settled with what each knows of the others."""
    traces: dict[str, list[SpanFacts]] = {}
    for each in facts:
        traces.setdefault(each.trace_id, []).append(each)
    alone = [settle("p", members, 1) for members in traces.values()]
    elsewhere: dict[str, dict[str, str]] = {}
    for (trace_id, span_id), winner in doubles_across(each for one in alone for each in reports_in(one)).items():
        elsewhere.setdefault(trace_id, {})[span_id] = "/".join(winner)
    return {trace_id: settle("p", members, 1, elsewhere.get(trace_id, {})) for trace_id, members in traces.items()}
