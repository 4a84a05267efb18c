"""Sums over many traces: what sessions and users have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spanhouse_server.query.compile import Selection, compile_filter
from spanhouse_server.query.fields import find_field
from spanhouse_server.query.filter import Condition
from spanhouse_server.query.operands import Exact
from spanhouse_server.query.page import MONEY_TYPE, SortKey
from spanhouse_server.query.rows import Row, dollars
from spanhouse_server.query.times import Window

#: Aggregates over ``traces``. No alias equals a column: conditions beside them mean the columns.
TOTALS = (
    "min(start_ns) AS first_ns, max(end_ns) AS last_ns, count() AS trace_n, sum(span_count) AS span_n,"
    " sum(error_count) AS error_n, sum(llm_count) AS llm_n, sum(input_tokens) AS input_n,"
    " sum(output_tokens) AS output_n, sum(cost_usd) AS cost_sum, groupUniqArray(toString(cost_status)) AS statuses,"
    " arraySort(groupUniqArrayArray(models)) AS model_names"
)
SORTS = {
    "start_time": SortKey("first_ns", "Int64"),
    "last_time": SortKey("last_ns", "Int64"),
    "duration": SortKey("(last_ns - first_ns)", "Int64"),
    "cost": SortKey("toDecimal64(ifNull(cost_sum, toDecimal128(-1, 12)), 12)", MONEY_TYPE),
    "tokens": SortKey("(ifNull(input_n, 0) + ifNull(output_n, 0))", "UInt64"),
    "errors": SortKey("error_n", "UInt64"),
    "traces": SortKey("trace_n", "UInt64"),
}


def totals(row: Row) -> dict[str, Any]:
    """Return a row with ``TOTALS`` as the API shows it, without its times."""
    return {
        "trace_count": row["trace_n"],
        "span_count": row["span_n"],
        "error_count": row["error_n"],
        "llm_count": row["llm_n"],
        "input_tokens": row["input_n"],
        "output_tokens": row["output_n"],
        "cost_usd": dollars(row["cost_sum"]),
        "cost_status": joint_cost_status(row["statuses"]),
        "models": row["model_names"],
    }


def joint_cost_status(statuses: Iterable[str]) -> str:
    """Return how the sum of several costs is known: as well as the least known of them."""
    known = {status for status in statuses if status}
    if len(known) <= 1:
        return next(iter(known), "")
    return "partial" if known & {"partial", "unpriced"} else "reported"


def select_exactly(field_name: str, value: str, project_id: str) -> Selection:
    """Return the traces whose field has exactly this value, whatever characters it holds."""
    field = find_field(field_name)
    assert field is not None, "only called with names of the table"
    return compile_filter("traces", project_id, Window(), Condition(field, "", ":", (Exact(value),)))
