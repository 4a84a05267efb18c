# ruff: noqa: S608 - put together from our own column names; values are bound
"""The statements that make rollups; everything is computed inside the engine.

Minutes are made from ``span_index``, hours from the minutes that are read now, marks from what was just
made. Placeholders: ``{project}``, ``{from_ns}``/``{to_ns}`` or ``{from_s}``/``{to_s}``, ``{generation}``.
"""

from __future__ import annotations

from spanhouse_server.model.facts import IndexRow
from spanhouse_server.query.fields import TOKENS_PER_S
from spanhouse_server.query.figures import REQUEST, SKETCH, SKETCH_ERROR, sketch_state, sum_of
from spanhouse_server.query.rollups import DIMENSIONS, HOUR_S, MINUTE_S

NEVER_S = 2**32 - 1
_SUMS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "cost_usd",
    "cost_input_usd",
    "cost_output_usd",
)
assert set(_SUMS) <= set(IndexRow.__dataclass_fields__), "sums are columns of span_index"
_TTFT = f"if({REQUEST}, ttft_ns, NULL)"
_RATE = f"if(counted, {TOKENS_PER_S}, NULL)"

#: Column -> SQL over the spans of a bucket.
_MADE = {
    "spans": "count()",
    **{column: sum_of(column) for column in _SUMS},
    "duration_sum_ns": "sum(toInt128(duration_ns))",
    "duration_min_ns": "min(duration_ns)",
    "duration_max_ns": "max(duration_ns)",
    "duration_sketch": sketch_state("duration_ns"),
    "ttft_count": f"count({_TTFT})",
    "ttft_sum_ns": f"sum(toInt128(ifNull({_TTFT}, 0)))",
    "ttft_min_ns": f"min({_TTFT})",
    "ttft_max_ns": f"max({_TTFT})",
    "ttft_sketch": sketch_state(_TTFT),
    "rate_count": f"count({_RATE})",
    "rate_sum": f"sum(ifNull({_RATE}, 0))",
    "rate_min": f"min({_RATE})",
    "rate_max": f"max({_RATE})",
    "rate_sketch": sketch_state(_RATE),
}


def _merged(column: str) -> str:
    """Return the SQL that merges a column of several buckets."""
    if column.endswith("_sketch"):
        return f"{SKETCH}MergeState({SKETCH_ERROR}, 0.5)({column})"
    for sign in ("min", "max"):
        if f"_{sign}" in column:
            return f"{sign}({column})"
    return f"sum({column})"


_KEYS = (*DIMENSIONS, "is_request")
_BUCKET = ("project_id", "step_s", "start_s", "generation", "received_at", "retention_days", "expires_s", "tier_key")
ROLLUP_COLUMNS = (*_BUCKET, *_KEYS, *_MADE)
MARK_COLUMNS = (*_BUCKET, "groups", "spans")

_GROUPS = ", ".join(f"_{name}" for name in _KEYS)
#: Minutes of which spans have expired already: making them again would lose those.
_FROZEN = (
    "SELECT start_s FROM rollup_marks FINAL WHERE project_id = {project:String} AND step_s = 60"
    " AND start_s >= {from_s:Int64} AND start_s < {to_s:Int64} AND expires_s < {now_s:UInt32}"
)
_EXPIRES = f"if(retention_days = 0, {NEVER_S}, least(toUnixTimestamp(received_at) + toUInt64(retention_days) * 86400, {NEVER_S}))"
_MINUTE = f"intDiv(start_ns, {MINUTE_S * 1_000_000_000}) * {MINUTE_S}"

MINUTES = (
    f"SELECT {{project:String}}, {MINUTE_S}, _start_s, {{generation:UInt64}}, max(received_at), {{keep_days:UInt16}},"
    f" min({_EXPIRES}), {{tier:String}}, {_GROUPS}, {', '.join(_MADE.values())} FROM ("
    f"SELECT *, {_MINUTE} AS _start_s, {', '.join(f'{sql} AS _{name}' for name, sql in DIMENSIONS.items())},"
    f" {REQUEST} AS _is_request FROM span_index FINAL WHERE project_id = {{project:String}}"
    " AND start_ns >= {from_ns:Int64} AND start_ns < {to_ns:Int64})"
    f" WHERE _start_s NOT IN ({_FROZEN}) GROUP BY _start_s, {_GROUPS}"
)

_RANGE = "project_id = {project:String} AND start_s >= {from_s:Int64} AND start_s < {to_s:Int64}"


def _marked(step_s: int) -> str:
    return f"SELECT start_s, max(generation) FROM rollup_marks WHERE {_RANGE} AND step_s = {step_s} GROUP BY start_s"


HOURS = (
    f"SELECT {{project:String}}, {HOUR_S}, intDiv(start_s, {HOUR_S}) * {HOUR_S} AS _start_s, {{generation:UInt64}},"
    f" max(received_at), {{keep_days:UInt16}}, min(expires_s), {{tier:String}}, {', '.join(_KEYS)},"
    f" {', '.join(_merged(column) for column in _MADE)} FROM rollups WHERE {_RANGE} AND step_s = {MINUTE_S}"
    f" AND (start_s, generation) IN ({_marked(MINUTE_S)}) GROUP BY _start_s, {', '.join(_KEYS)}"
)


def marks(step_s: int) -> str:
    """Return the read that makes the marks of buckets just made, and of those that are empty now."""
    not_frozen = " AND expires_s >= {now_s:UInt32}" if step_s == MINUTE_S else ""
    return (
        f"SELECT {{project:String}}, {step_s}, start_s, {{generation:UInt64}}, max(_received), {{keep_days:UInt16}},"
        f" min(_expires), {{tier:String}}, sum(_groups), sum(_spans) FROM ("
        f"SELECT start_s, received_at AS _received, expires_s AS _expires, 1 AS _groups, spans AS _spans FROM rollups"
        f" WHERE {_RANGE} AND step_s = {step_s} AND generation = {{generation:UInt64}}"
        f" UNION ALL SELECT start_s, toDateTime(0, 'UTC'), {NEVER_S}, 0, 0 FROM rollup_marks FINAL"
        f" WHERE {_RANGE} AND step_s = {step_s}{not_frozen}) GROUP BY start_s"
    )
