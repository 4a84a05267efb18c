"""How long calls take: percentiles by group, the slowest ones, and where the time goes when the engine is seen too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spanhouse_server.clock import rfc3339
from spanhouse_server.errors import BadQuery
from spanhouse_server.query.compile import select_rows
from spanhouse_server.query.cost.selection import group_names, group_sql, shown_group
from spanhouse_server.query.fields import TOKENS_PER_S
from spanhouse_server.query.figures import REQUEST, SKETCH_ERROR, TPOT_MS
from spanhouse_server.query.metrics import DEFAULT_RANGE_NS, bounded_range
from spanhouse_server.query.rows import Row
from spanhouse_server.query.times import Window
from spanhouse_server.store.contract import ColumnarStore

#: Percentiles from the same sketch as the metrics, so that both say the same.
_PERCENTILES = f"quantilesDD({SKETCH_ERROR}, 0.5, 0.95, 0.99)"
#: What is measured of a call: milliseconds, NULL where it was not seen.
_MEASURES = {
    "duration_ms": "if(duration_ns > 0, duration_ns / 1e6, NULL)",
    "ttft_ms": "ttft_ns / 1e6",
    "tpot_ms": TPOT_MS,
}
#: Which spans are asked for: calls of models, or all spans.
POPULATIONS = {"requests": REQUEST, "spans": "1"}
MAX_SLOWEST = 50
#: An engine's span may begin this long before its client's by the clocks of two machines.
_SKEW_NS = 60_000_000_000
#: Seconds of a call inside the engine, by the names that engines use for them.
_STAGES = {
    "queue_ms": ("latency.time_in_queue_s", "latency.queue_time_s", "latency.queue_s"),
    "prefill_ms": ("latency.time_in_model_prefill_s",),
    "decode_ms": ("latency.time_in_model_decode_s",),
    "inference_ms": ("latency.time_in_model_inference_s", "latency.inference_time_s", "latency.compute_s"),
}


@dataclass(frozen=True, slots=True)
class LatencyQuery:
    """What is asked: groups of ``of`` (``requests``, ``spans``) in a range, the last 24 hours by default."""

    group_by: str = "model"
    of: str = "requests"
    window: Window = Window()
    q: str = ""
    limit: int = 50
    slowest: int = 10
    slowest_by: str = "duration_ms"


def latency(store: ColumnarStore, project_id: str, query: LatencyQuery) -> dict[str, Any]:
    """Return percentiles of duration, time to first token and time per output token; raise ``BadQuery``.

    With them come the slowest calls, and for calls whose engine sent spans too, how the time divides between the two.
    """
    if query.of not in POPULATIONS:
        raise BadQuery(f"of: there is no {query.of[:60]!r}", f"use one of {', '.join(POPULATIONS)}")
    if query.slowest_by not in _MEASURES:
        raise BadQuery(f"slowest_by: there is no {query.slowest_by[:60]!r}", f"use one of {', '.join(_MEASURES)}")
    window = Window(*bounded_range(query.window, DEFAULT_RANGE_NS))
    names = group_names(query.group_by)
    selected = select_rows("spans", project_id, window, query.q)
    where = f"{selected.where} AND {POPULATIONS[query.of]}"
    total = store.select(f"SELECT {_statistics()} FROM span_index FINAL WHERE {where}", selected.parameters)[0]
    groups: list[Row] = []
    if names:
        parameters = dict(selected.parameters)
        groups = store.select(
            f"SELECT {group_sql(names, parameters)} AS _group, {_statistics()} FROM span_index FINAL"
            f" WHERE {where} GROUP BY _group ORDER BY call_n DESC, _group LIMIT {query.limit + 1}",
            parameters,
        )
    return {
        "of": query.of,
        "from_time": rfc3339(window.from_ns or 0),
        "to_time": rfc3339(window.to_ns or 0),
        "total": _shown(total),
        "groups": [{"group": shown_group(names, row["_group"]), **_shown(row)} for row in groups[: query.limit]],
        "more": len(groups) > query.limit,
        "slowest": _slowest(store, where, selected.parameters, query),
        "engine": _engine(store, project_id, window, query.q),
    }


def _statistics() -> str:
    parts = ["count() AS call_n", "countIf(status_code = 'error') AS error_n"]
    for name, sql in _MEASURES.items():
        parts.append(_spread(name, sql))
    parts.append(f"quantileDD({SKETCH_ERROR}, 0.5)({TOKENS_PER_S}) AS speed")
    return ", ".join(parts)


def _spread(name: str, sql: str) -> str:
    """Return the aggregates that ``spread_of`` reads."""
    return (
        f"count({sql}) AS {name}_n, min({sql}) AS {name}_least, max({sql}) AS {name}_most,"
        f" {_PERCENTILES}({sql}) AS {name}_q"
    )


def _shown(row: Row) -> dict[str, Any]:
    return {
        "requests": row["call_n"],
        "errors": row["error_n"],
        **{name: spread_of(row, name) for name in _MEASURES},
        "output_tokens_per_s": number(row["speed"]),
    }


def spread_of(row: Row, name: str) -> dict[str, Any]:
    """Return percentiles as the API shows them; ``None`` where nothing was measured.

    A sketch gives the middle of a value's bucket, which the true extremes bound.
    """
    count = row[f"{name}_n"]
    if not count:
        return {"count": 0, "p50": None, "p95": None, "p99": None, "max": None}
    least, most = float(row[f"{name}_least"]), float(row[f"{name}_most"])
    p50, p95, p99 = (min(max(float(value), least), most) for value in row[f"{name}_q"])
    return {"count": count, "p50": p50, "p95": p95, "p99": p99, "max": most}


def number(value: Any) -> float | None:
    """Return a figure as JSON can hold it: NaN is what aggregates give for nothing."""
    return None if value is None or value != value else float(value)


def _slowest(store: ColumnarStore, where: str, parameters: dict[str, Any], query: LatencyQuery) -> list[dict[str, Any]]:
    measured = _MEASURES[query.slowest_by]
    columns = ", ".join(f"{sql} AS {name}_v" for name, sql in _MEASURES.items())
    rows = store.select(
        "SELECT trace_id, span_id, name AS span_name, model AS model_name, service_name AS service, start_ns AS at_ns,"
        " status_code AS status, input_tokens AS input_n, output_tokens AS output_n,"
        f" {columns} FROM span_index FINAL WHERE {where} AND isNotNull({measured})"
        f" ORDER BY {measured} DESC, trace_id, span_id LIMIT {min(query.slowest, MAX_SLOWEST)}",
        parameters,
    )
    return [
        {
            "trace_id": row["trace_id"],
            "span_id": row["span_id"],
            "name": row["span_name"],
            "model": row["model_name"],
            "service_name": row["service"],
            "start_time": rfc3339(row["at_ns"]),
            "status_code": row["status"],
            "input_tokens": row["input_n"],
            "output_tokens": row["output_n"],
            **{name: number(row[f"{name}_v"]) for name in _MEASURES},
        }
        for row in rows
    ]


def _engine(store: ColumnarStore, project_id: str, window: Window, q: str) -> dict[str, Any] | None:
    """Return how the time of calls divides between client and engine; nothing when no engine sent spans.

    An engine's span belongs to the model call above it, with at most two spans (a gateway, a web framework) between;
    of several engine spans below one call the longest is taken.
    """
    calls = select_rows("spans", project_id, window, q)
    parameters = calls.parameters | {
        "engine_from": max((window.from_ns or 0) - _SKEW_NS, 0),
        "engine_to": (window.to_ns or 0) + 24 * 3600 * 1_000_000_000,
    }
    engines = (
        "project_id = {project:String} AND start_ns >= {engine_from:Int64} AND start_ns < {engine_to:Int64}"
        " AND category = 'server' AND duration_ns > 0"
    )
    stages = ", ".join(
        f"coalesce({', '.join(f'toFloat64OrNull(metadata[{key!r}])' for key in keys)}) * 1e3 AS {name}"
        for name, keys in _STAGES.items()
    )
    between = (
        "SELECT trace_id, span_id, parent_span_id FROM span_index FINAL WHERE project_id = {project:String}"
        " AND start_ns >= {engine_from:Int64} AND start_ns < {engine_to:Int64} AND trace_id IN"
        f" (SELECT trace_id FROM span_index FINAL WHERE {engines})"
    )
    joined = (
        "SELECT c.span_id AS client_id, any(c.duration_ns) / 1e6 AS client_ms, max(e.duration_ns) / 1e6 AS engine_ms,"
        " argMax(c.ttft_ns, e.duration_ns) / 1e6 AS client_ttft_ms, argMax(e.ttft_ns, e.duration_ns) / 1e6"
        " AS engine_ttft_ms, " + ", ".join(f"argMax(e.{name}, e.duration_ns) AS {name}" for name in _STAGES) + " FROM"
        " (SELECT s.trace_id AS trace_id, s.duration_ns AS duration_ns, s.ttft_ns AS ttft_ns, "
        + ", ".join(f"s.{name} AS {name}" for name in _STAGES)
        + ", arrayJoin([s.parent_span_id, a.parent_span_id, b.parent_span_id]) AS above_id"
        f" FROM (SELECT trace_id, parent_span_id, duration_ns, ttft_ns, {stages} FROM span_index FINAL WHERE {engines})"
        f" AS s LEFT JOIN ({between}) AS a ON s.trace_id = a.trace_id AND s.parent_span_id = a.span_id"
        f" LEFT JOIN ({between}) AS b ON a.trace_id = b.trace_id AND a.parent_span_id = b.span_id) AS e"
        " INNER JOIN (SELECT trace_id, span_id, duration_ns, ttft_ns FROM span_index FINAL"
        f" WHERE {calls.where} AND {REQUEST} AND duration_ns > 0) AS c"
        " ON e.trace_id = c.trace_id AND e.above_id = c.span_id GROUP BY c.trace_id, client_id"
    )
    measures = {
        "client_ms": "client_ms",
        "engine_ms": "engine_ms",
        "outside_engine_ms": "greatest(client_ms - engine_ms, 0)",
        "client_ttft_ms": "client_ttft_ms",
        "engine_ttft_ms": "engine_ttft_ms",
        **{name: name for name in _STAGES},
    }
    columns = ", ".join(_spread(f"{name}_of", sql) for name, sql in measures.items())
    row = store.select(
        f"SELECT count() AS call_n, countIf(engine_ms > client_ms) AS longer_n, sum(client_ms) AS client_sum,"
        f" sum(greatest(client_ms - engine_ms, 0)) AS outside_sum, {columns} FROM ({joined})",
        parameters,
    )[0]
    if not row["call_n"]:
        return None
    return {
        "requests": row["call_n"],
        "engine_longer_requests": row["longer_n"],
        "outside_share": row["outside_sum"] / row["client_sum"] if row["client_sum"] else 0.0,
        **{name: spread_of(row, f"{name}_of") for name in measures},
    }
