"""Spend by any dimension, with what has no price beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

from spanhouse_server.clock import NS_PER_S, rfc3339
from spanhouse_server.query.compile import Selection, select_rows
from spanhouse_server.query.cost.selection import CostQuery, group_names, group_sql, shown_group
from spanhouse_server.query.figures import REQUEST
from spanhouse_server.query.metrics import buckets_of
from spanhouse_server.query.page import bad_cursor, decode_cursor, encode_cursor
from spanhouse_server.query.rows import Row, dollars
from spanhouse_server.store.contract import ColumnarStore

_SAID = "(isNotNull(input_tokens) OR isNotNull(output_tokens))"
_TOKENS = "ifNull(input_tokens, 0) + ifNull(output_tokens, 0)"
#: No alias equals a column: conditions beside them mean the columns.
SUMS = (
    "sumIf(cost_usd, counted) AS cost_sum, sumIf(cost_input_usd, counted) AS input_sum,"
    " sumIf(cost_output_usd, counted) AS output_sum,"
    f" countIf({REQUEST}) AS request_n,"
    " sumIf(ifNull(input_tokens, 0), counted) AS input_n, sumIf(ifNull(output_tokens, 0), counted) AS output_n,"
    " sumIf(ifNull(cache_read_tokens, 0), counted) AS cached_n,"
    f" countIf(counted AND isNull(cost_usd) AND {_SAID}) AS unpriced_n,"
    f" sumIf({_TOKENS}, counted AND isNull(cost_usd)) AS unpriced_tokens,"
    " countIf(counted AND cost_status = 'partial') AS partial_n,"
    " countIf(counted AND cost_status = 'reported') AS reported_n,"
    f" countIf({REQUEST} AND isNull(cost_usd) AND NOT {_SAID} AND status_code != 'error') AS silent_n"
)
_MONEY = re.compile(r"-?\d{1,26}(\.\d{1,12})?", re.ASCII)
_MONEY_TYPE = "Decimal(38, 12)"
_RANK = "toDecimal128(ifNull(cost_sum, 0), 12)"


def spend(
    store: ColumnarStore,
    project_id: str,
    query: CostQuery,
    group_by: str = "",
    interval_s: int = 0,
    limit: int = 50,
    cursor: str = "",
) -> dict[str, Any]:
    """Return what was spent in all and by group, the dearest first; raise ``BadQuery``.

    ``group_by`` names up to three fields. With ``interval_s`` each group has its spend over time. The total is over
    all rows, not over the groups: a row with several tags belongs to several groups.
    """
    query = query.bounded()
    names = group_names(group_by)
    selected = select_rows("spans", project_id, query.window, query.q)
    total = store.select(f"SELECT {SUMS} FROM span_index FINAL WHERE {selected.where}", selected.parameters)[0]
    groups: list[Row] = []
    if names:
        groups = _groups(store, selected, names, limit + 1, cursor)
    more = len(groups) > limit
    groups = groups[:limit]
    start_ns, end_ns = query.window.from_ns or 0, query.window.to_ns or 0
    points = _points(store, selected, names, groups, interval_s, (start_ns, end_ns)) if interval_s else {}
    return {
        "from_time": rfc3339(start_ns),
        "to_time": rfc3339(end_ns),
        "interval_s": interval_s,
        "total": {**spent(total), "points": points.get((), [])},
        "groups": [
            {
                "group": shown_group(names, row["_group"]),
                **spent(row),
                "share": share(row["cost_sum"], total["cost_sum"]),
                "points": points.get(tuple(row["_group"]), []),
            }
            for row in groups
        ],
        "next_cursor": _cursor(groups[-1]) if more else None,
    }


def spent(row: Row) -> dict[str, Any]:
    """Return a row with ``SUMS`` as the API shows it: money as decimal texts, counts, what has no price."""
    tokens = row["input_n"] + row["output_n"]
    return {
        "cost_usd": dollars(row["cost_sum"] or Decimal(0)),
        "input_usd": dollars(row["input_sum"] or Decimal(0)),
        "output_usd": dollars(row["output_sum"] or Decimal(0)),
        "requests": row["request_n"],
        "input_tokens": row["input_n"],
        "output_tokens": row["output_n"],
        "cache_read_tokens": row["cached_n"],
        "unpriced": {
            "requests": row["unpriced_n"],
            "tokens": row["unpriced_tokens"],
            "share_of_tokens": row["unpriced_tokens"] / tokens if tokens else 0.0,
            "partial_requests": row["partial_n"],
            "reported_requests": row["reported_n"],
            "requests_without_usage": row["silent_n"],
        },
    }


def share(part: Decimal | None, whole: Decimal | None) -> float:
    """Return how much of the whole a part is, 0 of nothing."""
    return float(part / whole) if part and whole else 0.0


def _groups(store: ColumnarStore, selected: Selection, names: Sequence[str], limit: int, cursor: str) -> list[Row]:
    parameters = dict(selected.parameters)
    group = group_sql(names, parameters)
    after = _after(cursor, len(names), parameters)
    return store.select(
        f"SELECT {group} AS _group, {SUMS} FROM span_index FINAL WHERE {selected.where}"
        f" GROUP BY _group HAVING (request_n > 0 OR input_n > 0 OR output_n > 0 OR {_RANK} > 0) AND {after}"
        f" ORDER BY {_RANK} DESC, _group LIMIT {limit}",
        parameters,
    )


def _points(
    store: ColumnarStore,
    selected: Selection,
    names: Sequence[str],
    groups: Sequence[Row],
    interval_s: int,
    window: tuple[int, int],
) -> dict[tuple[str, ...], list[tuple[int, str]]]:
    """Return [unix s, spend] of the shown groups, and of all rows as the empty one."""
    buckets = buckets_of(*window, interval_s)
    parameters = dict(selected.parameters)
    bucket = f"intDiv(start_ns, {interval_s * NS_PER_S}) AS _bucket"
    rows = store.select(
        f"SELECT emptyArrayString() AS _group, {bucket}, sumIf(cost_usd, counted) AS cost_sum"
        f" FROM span_index FINAL WHERE {selected.where} GROUP BY _bucket",
        parameters,
    )
    if groups:
        group = group_sql(names, parameters)
        parameters["shown"] = [list(row["_group"]) for row in groups]
        rows += store.select(
            f"SELECT {group} AS _group, {bucket}, sumIf(cost_usd, counted) AS cost_sum FROM span_index FINAL"
            f" WHERE {selected.where} GROUP BY _group, _bucket HAVING has({{shown:Array(Array(String))}}, _group)",
            parameters,
        )
    found = {(tuple(row["_group"]), row["_bucket"]): row["cost_sum"] for row in rows}
    nothing = Decimal(0)
    return {
        group: [(bucket * interval_s, dollars(found.get((group, bucket)) or nothing) or "0") for bucket in buckets]
        for group in [(), *(tuple(row["_group"]) for row in groups)]
    }


def _cursor(row: Row) -> str:
    return encode_cursor([f"{row['cost_sum'] or Decimal(0):f}", orjson.dumps(row["_group"]).decode()])


def _after(cursor: str, names: int, parameters: dict[str, Any]) -> str:
    if not cursor:
        return "1"
    cost, written = decode_cursor(cursor, 2)
    try:
        group = orjson.loads(written)
    except ValueError:
        raise bad_cursor() from None
    if not _MONEY.fullmatch(cost) or not isinstance(group, list) or len(group) != names:
        raise bad_cursor()
    if not all(isinstance(part, str) for part in group):
        raise bad_cursor()
    parameters |= {"after_cost": Decimal(cost), "after_group": group}
    bound = f"{{after_cost:{_MONEY_TYPE}}}"
    return f"({_RANK} < {bound} OR ({_RANK} = {bound} AND _group > {{after_group:Array(String)}}))"
