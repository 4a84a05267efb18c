"""What can be measured: the metrics of the API as aggregates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from spanhouse_server.errors import BadQuery
from spanhouse_server.model.span import MODEL_CATEGORIES
from spanhouse_server.query.fields import TOKENS_PER_S

_STATISTIC = re.compile(r"^(avg|min|max|sum|p\d{1,2}(?:\.\d{1,2})?)$")
_SCORE = re.compile(r"^score\.(.+?)(?:\.(avg|min|max|sum|count|p\d{1,2}))?$")

#: A request is a call of a model: one whose usage counts, or one that reports none (failed, or silent).
#: Wrappers that repeat the usage of a call below them are not requests.
_REQUEST = (
    f"(category IN ({', '.join(repr(name) for name in sorted(MODEL_CATEGORIES))})"
    " AND (counted OR (isNull(input_tokens) AND isNull(output_tokens) AND isNull(cost_usd))))"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric as SQL: ``aggregate`` over the rows of ``table``.

    ``empty`` is the value of a bucket without rows: 0 for counts and sums, ``None`` where there is
    nothing to average. ``weight`` ranks groups: the metric itself where it adds up, else how many
    values it is made of.
    """

    table: Literal["traces", "span_index", "scores"]
    aggregate: str
    unit: str
    empty: float | None
    weight: str = ""
    score_name: str = ""

    @property
    def rank(self) -> str:
        """Return the SQL that groups are ranked by, never NULL."""
        return f"ifNull({self.weight or self.aggregate}, 0)"


_SUMS = {
    "traces": Figure("traces", "count()", "traces", 0.0),
    "spans": Figure("span_index", "count()", "spans", 0.0),
    "requests": Figure("span_index", f"countIf({_REQUEST})", "requests", 0.0),
    "errors": Figure("span_index", "countIf(status_code = 'error')", "spans", 0.0),
    "request_errors": Figure("span_index", f"countIf({_REQUEST} AND status_code = 'error')", "requests", 0.0),
    "trace_errors": Figure("traces", "countIf(error_count > 0)", "traces", 0.0),
    "input_tokens": Figure("span_index", "sumIf(input_tokens, counted)", "tokens", 0.0),
    "output_tokens": Figure("span_index", "sumIf(output_tokens, counted)", "tokens", 0.0),
    "cache_read_tokens": Figure("span_index", "sumIf(cache_read_tokens, counted)", "tokens", 0.0),
    "reasoning_tokens": Figure("span_index", "sumIf(reasoning_tokens, counted)", "tokens", 0.0),
    "cost_usd": Figure("span_index", "toFloat64(sumIf(cost_usd, counted))", "USD", 0.0),
}
#: Values that are spread: table, SQL of one value (NULL where there is none), unit.
_SPREADS: dict[str, tuple[Literal["traces", "span_index"], str, str]] = {
    "duration_ms": ("span_index", "duration_ns / 1e6", "ms"),
    "trace_duration_ms": ("traces", "duration_ns / 1e6", "ms"),
    "request_duration_ms": ("span_index", f"if({_REQUEST}, duration_ns / 1e6, NULL)", "ms"),
    "ttft_ms": ("span_index", f"if({_REQUEST}, ttft_ns / 1e6, NULL)", "ms"),
    "output_tokens_per_s": ("span_index", f"if(counted, {TOKENS_PER_S}, NULL)", "tokens/s"),
}
METRICS = (*_SUMS, *_SPREADS, "score.<name>")


def find_figure(metric: str) -> Figure:
    """Return the figure for a metric's name, e.g. ``cost_usd`` or ``duration_ms.p95``; raise ``BadQuery``."""
    if metric in _SUMS:
        return _SUMS[metric]
    if found := _SCORE.match(metric):
        name, statistic = found.groups()
        if statistic == "count":
            return Figure("scores", "count()", "scores", 0.0, score_name=name)
        return Figure("scores", _spread("value", statistic or "avg"), "", None, "count(value)", name)
    base, _, statistic = metric.partition(".")
    if base in _SPREADS and (not statistic or _STATISTIC.match(statistic)):
        table, sql, unit = _SPREADS[base]
        aggregate = _spread(sql, statistic or "avg")
        return Figure(table, aggregate, unit, 0.0 if statistic == "sum" else None, f"count({sql})")
    raise BadQuery(
        f"there is no metric {metric[:60]!r}",
        f"use one of {', '.join(METRICS)}; the last ones take .avg .min .max .sum .p50 … .p99",
    )


def _spread(sql: str, statistic: str) -> str:
    if statistic.startswith("p"):
        level = float(statistic[1:]) / 100
        return f"quantileTDigest({level})({sql})"
    return f"{statistic}({sql})"
