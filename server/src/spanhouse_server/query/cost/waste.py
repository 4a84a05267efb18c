"""Money that bought nothing: calls that failed, that were asked again, and whose answer was cut off.

Each call counts once, under the first of these that fits:

- ``errors``: it failed, and was billed all the same;
- ``retries``: the same was asked again. Another call of the same session (else of the same trace), model asked for
  and operation, with the same preview and number of input tokens, began at most ``RETRY_WITHIN_S`` after it had ended.
  The answer that was replaced is what was wasted, not the last one; calls side by side are no retries;
- ``cut_off``: the model stopped because it had reached its limit of output tokens.

The proxy's own retries are told beside it (``resends``): they are certain, but the attempts it threw away answered
with an error and left no bill that anyone could read.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from spanhouse_server.clock import NS_PER_S, rfc3339
from spanhouse_server.query.cost.selection import CostQuery, counted_rows
from spanhouse_server.query.cost.spend import share
from spanhouse_server.query.rows import dollars
from spanhouse_server.store.contract import ColumnarStore

RETRY_WITHIN_S = 120
MAX_EXAMPLES = 5
KINDS = ("errors", "retries", "cut_off")

#: Providers and instrumentations write it in many ways: ``length``, ``MAX_TOKENS``, ``FinishReason.MAX_TOKENS`` …
_CUT = (
    "arrayExists(x -> match(lower(x), '(^|[._])(length|max_?tokens|max_output_tokens|model_length)$'), finish_reasons)"
)
_SCOPE = "if(session_id != '', session_id, trace_id)"
_SAME = f"{_SCOPE}, session_id != '', request_model, operation, input_preview, input_tokens"


def waste(store: ColumnarStore, project_id: str, query: CostQuery) -> dict[str, Any]:
    """Return what was spent in vain under a filter, by kind, with the dearest examples; raise ``BadQuery``."""
    query = query.bounded()
    selected = counted_rows(project_id, query)
    judged = (
        "SELECT trace_id, span_id, start_ns, model, cost_usd AS cost,"
        " multiIf(status_code = 'error', 'errors',"
        f" input_preview != '' AND input_tokens > 0 AND end_ns > 0 AND next_ns >= end_ns"
        f" AND next_ns - end_ns <= {RETRY_WITHIN_S * NS_PER_S}, 'retries',"
        f" {_CUT}, 'cut_off', '') AS reason"
        " FROM (SELECT *, leadInFrame(start_ns, 1, toInt64(0)) OVER (PARTITION BY"
        f" {_SAME} ORDER BY start_ns, span_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS next_ns"
        f" FROM span_index FINAL WHERE {selected.where})"
    )
    rows = store.select(
        f"SELECT reason, count() AS call_n, sum(cost) AS cost_sum, countIf(isNull(cost)) AS unpriced_n,"
        f" groupArraySorted({MAX_EXAMPLES})((-toFloat64(ifNull(cost, 0)), trace_id, span_id, model)) AS dearest"
        f" FROM ({judged}) GROUP BY reason",
        selected.parameters,
    )
    by_kind = {row["reason"]: row for row in rows}
    total = sum((row["cost_sum"] or Decimal(0) for row in rows), Decimal(0))
    kinds = []
    for kind in KINDS:
        row = by_kind.get(kind) or {"call_n": 0, "cost_sum": None, "unpriced_n": 0, "dearest": []}
        kinds.append(
            {
                "kind": kind,
                "requests": row["call_n"],
                "cost_usd": dollars(row["cost_sum"] or Decimal(0)),
                "share_of_cost": share(row["cost_sum"], total),
                "unpriced_requests": row["unpriced_n"],
                "examples": [
                    {"trace_id": trace_id, "span_id": span_id, "model": model, "cost_usd": -cost}
                    for cost, trace_id, span_id, model in row["dearest"]
                ],
            }
        )
    wasted = total - (by_kind.get("", {}).get("cost_sum") or Decimal(0))
    return {
        "from_time": rfc3339(query.window.from_ns or 0),
        "to_time": rfc3339(query.window.to_ns or 0),
        "cost_usd": dollars(total),
        "wasted_usd": dollars(wasted),
        "share_of_cost": share(wasted, total),
        "kinds": kinds,
        "resends": _resends(store, project_id, query),
    }


def _resends(store: ColumnarStore, project_id: str, query: CostQuery) -> dict[str, Any]:
    """Return the calls that the proxy sent more than once, and how many times more."""
    selected = counted_rows(project_id, query)
    # Only the proxy and the SDK write this dialect, so the raw attributes of few other spans are read.
    row = store.select(
        "SELECT count() AS call_n, sum(resent) AS resend_n, sum(cost_usd) AS cost_sum FROM"
        " (SELECT cost_usd, JSONExtractUInt(attributes, 'http.request.resend_count') AS resent"
        " FROM spans FINAL WHERE project_id = {project:String} AND (trace_id, span_id) IN"
        f" (SELECT trace_id, span_id FROM span_index FINAL WHERE {selected.where} AND dialect = 'spanhouse'))"
        " WHERE resent > 0",
        selected.parameters,
    )[0]
    return {
        "requests": row["call_n"],
        "resends": row["resend_n"],
        "cost_usd": dollars(row["cost_sum"] or Decimal(0)),
    }
