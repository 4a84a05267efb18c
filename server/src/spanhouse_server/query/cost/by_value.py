"""Exact spend in a range, in all or by the values of one field: what budgets are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from spanhouse_server.query.cost.selection import CostQuery, counted_rows, group_sql
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

    Without a field there is one entry, under the empty text.
    """
    selected = counted_rows(project_id, query)
    parameters = dict(selected.parameters)
    value = f"{group_sql([field], parameters)}[1]" if field else "''"
    rows = store.select(
        f"SELECT {value} AS _value, sum(cost_usd) AS cost_sum, countIf(isNull(cost_usd)) AS unpriced_n,"
        " sumIf(ifNull(input_tokens, 0) + ifNull(output_tokens, 0), isNull(cost_usd)) AS unpriced_tokens"
        f" FROM span_index FINAL WHERE {selected.where}"
        f" GROUP BY _value ORDER BY cost_sum DESC, _value LIMIT {limit}",
        parameters,
    )
    found = {
        row["_value"]: Spent(row["cost_sum"] or Decimal(0), row["unpriced_n"], row["unpriced_tokens"]) for row in rows
    }
    return found if field or found else {"": NOTHING}
