"""What an alert is told with: the line that led to it, and traces to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from spanhouse_server.clock import NS_PER_S
from spanhouse_server.derive.otel_series import is_otel
from spanhouse_server.derive.series import SeriesQuery, SeriesSource, ratio_of
from spanhouse_server.errors import SpanhouseError
from spanhouse_server.model.alerts import Alert, Rule
from spanhouse_server.query.page import ListQuery
from spanhouse_server.query.times import Window
from spanhouse_server.query.traces import list_traces
from spanhouse_server.store.contract import ColumnarStore

MAX_TRACES = 3
CONTEXT_POINTS = 60
MAX_EVIDENCE_BYTES = 64 * 1024
#: Which traces show best what a metric is about: more filter, order.
_TELLING = (
    ("cost", "", "-cost"),
    ("duration", "", "-duration"),
    ("ttft", "", "-duration"),
    ("tpot", "", "-duration"),
    ("error", "status:error", "-start_time"),
    ("tokens", "", "-tokens"),
)


def filter_of(q: str, labels: Mapping[str, str], group_by: tuple[str, ...]) -> str:
    """Return the filter for one group of a rule: the rule's own and the group's values, of which some are empty."""
    parts = [f"({q})"] if q.strip() else []
    for name in group_by:
        if name in labels:
            escaped = labels[name].replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'{name}:"{escaped}"')
    return " ".join(parts)


def with_evidence(
    alert: Alert, rule: Rule, store: ColumnarStore | None, source: SeriesSource, at_s: int, public_url: str
) -> dict[str, Any]:
    """Return an alert's evidence with the metric's line before ``at_s`` and up to three traces of the window.

    What cannot be read is left out, with a word why: an alert never waits for its illustration.
    """
    found = bounded(alert.evidence)
    q = filter_of(rule.q, alert.labels, rule.group_by)
    if rule.metric and "series" not in found:
        try:
            found["series"] = _context(rule, q, alert.labels, source, at_s)
        except SpanhouseError as error:
            found["series_missing"] = error.message
    if store is not None and not is_otel(rule.metric):
        try:
            found["traces"] = _traces(rule, q, store, at_s, public_url)
        except SpanhouseError as error:
            found["traces_missing"] = error.message
    return found


def bounded(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Return evidence that can be kept as JSON and is of bounded size; long lists keep their end."""
    found = dict(evidence)
    for name, value in evidence.items():
        if isinstance(value, list | tuple) and len(value) > CONTEXT_POINTS * 4:
            found[name] = list(value[-CONTEXT_POINTS * 4 :])
    try:
        if len(orjson.dumps(found)) <= MAX_EVIDENCE_BYTES:
            return found
        why = "the evidence was too large to keep"
    except TypeError:
        why = "the evidence could not be kept"
    return {"reason": str(evidence.get("reason", ""))[:500], "left_out": why}


def _context(rule: Rule, q: str, labels: Mapping[str, str], source: SeriesSource, at_s: int) -> dict[str, Any]:
    width_s = max(rule.window_s // 5, 60)
    last_s = at_s // width_s * width_s
    otel = is_otel(rule.metric)
    # OTLP metrics know no filter: the group is picked from all of them.
    query = SeriesQuery(rule.metric, rule.group_by if otel else (), "" if otel else q, width_s)
    found = source.read(rule.project_id, query, last_s - CONTEXT_POINTS * width_s, last_s)
    own = [each for each in found if all(labels.get(name) == value for name, value in each.labels.items())]
    read = own[0].points if own else ()
    begun = next((index for index, (_, value) in enumerate(read) if value is not None), len(read))
    points = [[start, value] for start, value in read[begun:]]
    return {"metric": rule.metric, "q": query.q, "interval_s": width_s, "points": points}


def _traces(rule: Rule, q: str, store: ColumnarStore, at_s: int, public_url: str) -> list[dict[str, Any]]:
    metric = (ratio_of(rule.metric) or (rule.metric,))[0]
    more, sort = next(((more, sort) for part, more, sort in _TELLING if part in metric), ("", "-start_time"))
    window = Window((at_s - rule.window_s) * NS_PER_S, at_s * NS_PER_S)
    page = list_traces(store, rule.project_id, ListQuery(window, f"{q} {more}".strip(), sort, MAX_TRACES))
    return [
        {
            "trace_id": item["trace_id"],
            "name": item["name"],
            "start_time": item["start_time"],
            "url": f"{public_url}/traces/{item['trace_id']}?project={quote(rule.project_id)}",
        }
        for item in page["items"]
    ]
