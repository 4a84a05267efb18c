"""What can be measured: the metrics of the API as pieces that are merged.

A figure is read as pieces, one row of them per group and bucket, which merge into the figure of any
larger group or bucket: from the rows themselves, or from rollups that keep the same pieces per minute.
Percentiles are merged from sketches, never averaged.
"""

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
REQUEST = (
    f"(category IN ({', '.join(repr(name) for name in sorted(MODEL_CATEGORIES))})"
    " AND (counted OR (isNull(input_tokens) AND isNull(output_tokens) AND isNull(cost_usd))))"
)
#: Time per output token after the first, in ms. Only streams tell when the first one came.
TPOT_MS = (
    "if(output_tokens > 1 AND ttft_ns > 0 AND duration_ns > ttft_ns,"
    " (duration_ns - ttft_ns) / (output_tokens - 1) / 1e6, NULL)"
)
#: The sketch of percentiles: relative error of a value at most 1 %, the same in whatever order it is merged.
SKETCH = "quantileDD"
SKETCH_ERROR = 0.01
_MERGED = {
    "n": "sum",
    "total": "sum",
    "least": "min",
    "most": "max",
    "sketch": f"{SKETCH}MergeState({SKETCH_ERROR}, 0.5)",
    "digest": "quantileTDigestMergeState(0.5)",
}

Table = Literal["traces", "span_index", "scores"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A column ``_name`` of pieces: an aggregate over the rows, and the column of ``rollups`` that holds it."""

    name: str
    rows: str
    rolled: str = ""

    @property
    def merged(self) -> str:
        """Return the SQL that merges pieces of this name into one."""
        return f"{_MERGED[self.name]}(_{self.name})"


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric: ``value`` over the pieces of the rows of ``table`` that fulfil ``where``.

    ``empty`` is the value of a bucket without rows: 0 for counts and sums, ``None`` where there is
    nothing to average. ``weight`` ranks groups: the metric itself where it adds up, else how many
    values it is made of. ``rolled_where`` is ``where`` over ``rollups``, ``None`` where they cannot tell.
    """

    table: Table
    unit: str
    empty: float | None
    pieces: tuple[Piece, ...]
    value: str
    weight: str
    where: str = "1"
    rolled_where: str | None = None
    score_name: str = ""


def sketch_state(value: str) -> str:
    """Return the aggregate that makes a sketch of ``value`` (SQL, may be NULL), as rollups keep it."""
    return f"{SKETCH}StateIf({SKETCH_ERROR}, 0.5)(toFloat64(ifNull({value}, 0)), isNotNull({value}))"


def sum_of(column: str) -> str:
    """Return the sum of a column of tokens or money over the spans that count, as rollups keep it."""
    nothing = "toDecimal128(0, 12)" if column.endswith("_usd") else "0"
    return f"ifNull(sumIf({column}, counted), {nothing})"


def _count(table: Table, unit: str, where: str = "1", rolled_where: str | None = None) -> Figure:
    return Figure(table, unit, 0.0, (Piece("n", "count()", "spans"),), "sum(_n)", "sum(_n)", where, rolled_where)


def _tokens(column: str) -> Figure:
    return Figure(
        "span_index", "tokens", 0.0, (Piece("n", sum_of(column), column),), "sum(_n)", "sum(_n)", rolled_where="1"
    )


_FAILED = "status_code = 'error'"
#: Reasons to stop that say the model, or a filter around it, declined: as OpenTelemetry, OpenAI, Anthropic, Gemini,
#: Bedrock, Cohere and the Vercel AI SDK write them, in lower case.
REFUSALS = (
    "content_filter", "content-filter", "content_filtered", "refusal", "guardrail_intervened", "safety", "recitation",
    "blocklist", "prohibited_content", "spii", "image_safety", "error_toxic",
)  # fmt: skip
_REFUSED = f"arrayExists(reason -> lower(reason) IN ({', '.join(repr(name) for name in REFUSALS)}), finish_reasons)"
_SUMS = {
    "traces": _count("traces", "traces"),
    "spans": _count("span_index", "spans", "1", "1"),
    "requests": _count("span_index", "requests", REQUEST, "is_request"),
    "errors": _count("span_index", "spans", _FAILED, _FAILED),
    "request_errors": _count("span_index", "requests", f"{REQUEST} AND {_FAILED}", f"is_request AND {_FAILED}"),
    "refusals": _count("span_index", "requests", f"{REQUEST} AND {_REFUSED}", f"is_request AND {_REFUSED}"),
    "trace_errors": _count("traces", "traces", "error_count > 0"),
    "input_tokens": _tokens("input_tokens"),
    "output_tokens": _tokens("output_tokens"),
    "cache_read_tokens": _tokens("cache_read_tokens"),
    "cache_write_tokens": _tokens("cache_write_tokens"),
    "reasoning_tokens": _tokens("reasoning_tokens"),
    "cost_usd": Figure(
        "span_index",
        "USD",
        0.0,
        (Piece("n", sum_of("cost_usd"), "cost_usd"),),
        "toFloat64(sum(_n))",
        "sum(_n)",
        rolled_where="1",
    ),
}


@dataclass(frozen=True, slots=True)
class _Spread:
    """Values that are spread: SQL of one (may be NULL), and the names of its columns in ``rollups``.

    ``scale`` takes a value to its unit; whole nanoseconds are summed as such, which is exact.
    """

    table: Table
    value: str
    unit: str
    scale: str
    where: str = "1"
    rolled_where: str | None = None
    count: str = ""
    total: str = ""
    least: str = ""
    most: str = ""
    sketch: str = ""


_DURATION = {
    "count": "spans",
    "total": "duration_sum_ns",
    "least": "duration_min_ns",
    "most": "duration_max_ns",
    "sketch": "duration_sketch",
}
_TTFT = {
    "count": "ttft_count",
    "total": "ttft_sum_ns",
    "least": "ttft_min_ns",
    "most": "ttft_max_ns",
    "sketch": "ttft_sketch",
}
_RATE = {"count": "rate_count", "total": "rate_sum", "least": "rate_min", "most": "rate_max", "sketch": "rate_sketch"}
_SPREADS = {
    "duration_ms": _Spread("span_index", "duration_ns", "ms", " / 1e6", "1", "1", **_DURATION),
    "trace_duration_ms": _Spread("traces", "duration_ns", "ms", " / 1e6"),
    "request_duration_ms": _Spread("span_index", "duration_ns", "ms", " / 1e6", REQUEST, "is_request", **_DURATION),
    "ttft_ms": _Spread("span_index", "ttft_ns", "ms", " / 1e6", REQUEST, "is_request", **_TTFT),
    "tpot_ms": _Spread("span_index", TPOT_MS, "ms", "", REQUEST),
    "output_tokens_per_s": _Spread("span_index", TOKENS_PER_S, "tokens/s", "", "counted", "1", **_RATE),
}
METRICS = (*_SUMS, *_SPREADS, "score.<name>")


def find_figure(metric: str) -> Figure:
    """Return the figure for a metric's name, e.g. ``cost_usd`` or ``duration_ms.p95``; raise ``BadQuery``."""
    if metric in _SUMS:
        return _SUMS[metric]
    if found := _SCORE.match(metric):
        name, statistic = found.groups()
        if statistic == "count":
            return Figure("scores", "scores", 0.0, (Piece("n", "count()"),), "sum(_n)", "sum(_n)", score_name=name)
        return _score(name, statistic or "avg")
    base, _, statistic = metric.partition(".")
    if base in _SPREADS and (not statistic or _STATISTIC.match(statistic)):
        return _spread(_SPREADS[base], statistic or "avg")
    raise BadQuery(
        f"there is no metric {metric[:60]!r}",
        f"use one of {', '.join(METRICS)}; the last ones take .avg .min .max .sum .p50 … .p99",
    )


def _spread(spread: _Spread, statistic: str) -> Figure:
    whole = spread.scale != ""
    number = f"toInt128(ifNull({spread.value}, 0))" if whole else f"ifNull({spread.value}, 0)"
    every = {
        "n": Piece("n", f"count({spread.value})", spread.count),
        "total": Piece("total", f"sum({number})", spread.total),
        "least": Piece("least", f"min({spread.value})", spread.least),
        "most": Piece("most", f"max({spread.value})", spread.most),
        "sketch": Piece("sketch", sketch_state(spread.value), spread.sketch),
    }
    needed, value = _statistic(statistic)
    return Figure(
        spread.table,
        spread.unit,
        0.0 if statistic == "sum" else None,
        tuple(every[name] for name in ("n", *needed)),
        f"({value}){spread.scale}",
        "sum(_n)",
        spread.where,
        spread.rolled_where,
    )


def _statistic(statistic: str) -> tuple[tuple[str, ...], str]:
    """Return the pieces that a statistic needs beside the count, and its SQL over them."""
    if statistic.startswith("p"):
        level = float(statistic[1:]) / 100
        # The sketch gives the middle of a value's bucket, which the true extremes bound.
        found = f"{SKETCH}Merge({SKETCH_ERROR}, {level})(_sketch)"
        return ("sketch", "least", "most"), f"least(greatest({found}, toFloat64(min(_least))), toFloat64(max(_most)))"
    return {
        "avg": (("total",), "sum(_total) / sum(_n)"),
        "sum": (("total",), "sum(_total)"),
        "min": (("least",), "min(_least)"),
        "max": (("most",), "max(_most)"),
    }[statistic]


def _score(name: str, statistic: str) -> Figure:
    every = {
        "total": Piece("total", "sum(value)"),
        "least": Piece("least", "min(value)"),
        "most": Piece("most", "max(value)"),
    }
    count = Piece("n", "count(value)")
    empty = 0.0 if statistic == "sum" else None
    if statistic.startswith("p"):
        # Scores are few and often only 0 and 1: this sketch keeps few values exactly.
        digest = Piece("digest", "quantileTDigestState(0.5)(value)")
        value = f"quantileTDigestMerge({float(statistic[1:]) / 100})(_digest)"
        return Figure("scores", "", empty, (count, digest), value, "sum(_n)", score_name=name)
    needed, value = _statistic(statistic)
    return Figure("scores", "", empty, (count, *(every[each] for each in needed)), value, "sum(_n)", score_name=name)
