"""Exact spend in a range, in all or by the values of one field: what budgets are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from spanhouse_server.query.cost.selection import CostQuery, counted_rows, group_sql
from spanhouse_server.query.metrics import MetricQuery, exact_sums
from spanhouse_server.store.contract import ColumnarStore


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent, and what counted without having a price."""

    used_usd: Decimal = Decimal(0)
    unpriced_calls: int = 0
    unpriced_tokens: int = 0

    def plus(self, other: Spent) -> Spent:
        """Return both together."""
        return Spent(
            self.used_usd + other.used_usd,
            self.unpriced_calls + other.unpriced_calls,
            self.unpriced_tokens + other.unpriced_tokens,
        )


NOTHING = Spent()

ByValue = Mapping[str, Spent]
"""By the value of a field; one empty key where no field was asked for."""


def spent_by_value(store: ColumnarStore, project_id: str, query: CostQuery, field: str, limit: int) -> dict[str, Spent]:
    """Return what the selected calls cost, by the values of ``field`` (the ``limit`` dearest); raise ``BadQuery``.

    Without a field there is one entry, under the empty text. One read of the spans: for short and recent windows.
    """
    found = _of_spans(store, project_id, query, field, limit, "1")
    return found if field or found else {"": NOTHING}


def spent_so_far(
    store: ColumnarStore, project_id: str, query: CostQuery, field: str, limit: int, *, unpriced: bool = True
) -> dict[str, Spent]:
    """Return what ``spent_by_value`` does, quicker over long windows, and also of spans that have expired since.

    Rollups tell of those, as far as they know ``field`` and filter. Without ``unpriced`` nothing is said of what has
    no price, and its spans are not read.
    """
    asked = MetricQuery("cost_usd", field, window=query.bounded().window, q=query.q, limit=limit)
    sums = exact_sums(store, project_id, asked)
    used = {group[0] if field else "": Spent(money) for group, money in sums.items()}
    if unpriced:
        for value, spent in _of_spans(store, project_id, query, field, limit, "isNull(cost_usd)").items():
            used[value] = used.get(value, NOTHING).plus(spent)
    return used if field or used else {"": NOTHING}


def _of_spans(
    store: ColumnarStore, project_id: str, query: CostQuery, field: str, limit: int, condition: str
) -> dict[str, Spent]:
    selected = counted_rows(project_id, query)
    parameters = dict(selected.parameters)
    value = f"{group_sql([field], parameters)}[1]" if field else "''"
    rows = store.select(
        f"SELECT {value} AS _value, sum(cost_usd) AS cost_sum, countIf(isNull(cost_usd)) AS unpriced_n,"
        " sumIf(ifNull(input_tokens, 0) + ifNull(output_tokens, 0), isNull(cost_usd)) AS unpriced_tokens"
        f" FROM span_index FINAL WHERE {selected.where} AND {condition}"
        f" GROUP BY _value ORDER BY cost_sum DESC, unpriced_n DESC, _value LIMIT {limit}",
        parameters,
    )
    return {
        row["_value"]: Spent(row["cost_sum"] or Decimal(0), row["unpriced_n"], row["unpriced_tokens"]) for row in rows
    }
