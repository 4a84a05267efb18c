"""Figures: metrics over time, facets, the filter's fields, stored OTLP metrics."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import StringConstraints

from spanhouse_server.query.exemplars import MAX_PER_LINE
from spanhouse_server.query.facets import facet_values
from spanhouse_server.query.fields import describe_fields
from spanhouse_server.query.metrics import MetricQuery, metric_series
from spanhouse_server.query.points import PointQuery, otel_metrics
from spanhouse_server.show.auth import ProjectId
from spanhouse_server.show.context import Context
from spanhouse_server.show.params import FilterText, TimeRange
from spanhouse_server.show.replies import JsonReply
from spanhouse_server.show.schemas.metrics import FacetsReply, FieldsReply, MetricsReply, OtelMetricsReply

router = APIRouter(tags=["figures"])

Interval = Annotated[int, Query(ge=0, le=366 * 86_400, description="Bucket width in seconds; 0 picks one.")]


@router.get("/metrics", operation_id="getMetrics", response_model=MetricsReply)
def get_metrics(
    context: Context,
    project_id: ProjectId,
    window: TimeRange,
    metric: Annotated[
        str,
        Query(
            max_length=200,
            description="spans, traces, requests, errors, input_tokens, output_tokens, cost_usd, duration_ms, ttft_ms, "
            "output_tokens_per_s or score.<name>; the last five take .avg .min .max .sum .p50 .p75 .p90 .p95 .p99.",
        ),
    ],
    group_by: Annotated[str, Query(max_length=500, description="Up to three fields, with commas between.")] = "",
    interval: Interval = 0,
    q: FilterText = "",
    limit: Annotated[int, Query(ge=1, le=100, description="Groups; the others are summed up in one.")] = 10,
) -> JsonReply:
    """Give a metric over time, the last 24 hours by default.

    Tokens and cost are sums over the spans that count. With more groups than `limit`, the largest
    are given and the rest together as the group `{"other": "true"}`.
    """
    query = MetricQuery(metric=metric, group_by=group_by, interval_s=interval, window=window, q=q, limit=limit)
    return JsonReply(metric_series(context.store, project_id, query))


@router.get("/facets", operation_id="getFacets", response_model=FacetsReply)
def get_facets(
    context: Context,
    project_id: ProjectId,
    window: TimeRange,
    field: Annotated[str, Query(max_length=200, description="A field of /api/v1/fields with facet true.")],
    q: FilterText = "",
    scope: Annotated[str, Query(pattern="^(traces|spans)$", description="What is counted.")] = "traces",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JsonReply:
    """Give the most frequent values of a field with their counts, under the filter."""
    return JsonReply(facet_values(context.store, project_id, field, window, q, scope, limit))


@router.get("/fields", operation_id="listFields", response_model=FieldsReply)
def get_fields() -> JsonReply:
    """List the fields of the filter language, for completion and help."""
    return JsonReply({"items": describe_fields()})


@router.get("/otel-metrics", operation_id="getOtelMetrics", response_model=OtelMetricsReply)
def get_otel_metrics(
    context: Context,
    project_id: ProjectId,
    window: TimeRange,
    name: Annotated[str, Query(max_length=500, description="Metric; without it the names are listed.")] = "",
    interval: Interval = 0,
    stat: Annotated[
        str,
        Query(
            max_length=20,
            description="last, avg, min, max, sum (gauges, sums), increase, rate (sums), avg, count, sum, rate, min, max, "
            "p50, p99.9 … (histograms); without it last, and avg of histograms.",
        ),
    ] = "",
    group_by: Annotated[
        str | None,
        Query(
            max_length=500,
            description="Attributes, service_name or host_name, with commas between: a line for each of their values, "
            "one line in all when empty. Without it every series is a line.",
        ),
    ] = None,
    attribute: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[^=]+=", max_length=1000)]] | None,
        Query(description="Only series with this attribute, as name=value; may be repeated."),
    ] = None,
    exemplars: Annotated[
        int, Query(ge=0, le=MAX_PER_LINE, description="Examples of each line to give: values with their spans.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="Names, or lines of one metric.")] = 100,
) -> JsonReply:
    """Give the names of the stored OTLP metrics, or the series of one, the last hour by default.

    Rates, increases, counts and percentiles follow each point's temporality and survive restarts of the
    emitter. Percentiles come from the buckets of histograms and are exact to a bucket's width; `min` and
    `max` of histograms need delta temporality.
    """
    query = PointQuery(
        name=name,
        interval_s=interval,
        window=window,
        limit=limit,
        stat=stat,
        group_by=None if group_by is None else [key.strip() for key in group_by.split(",") if key.strip()],
        selected=[(key, value) for key, _, value in (pair.partition("=") for pair in attribute or ())],
        exemplars=exemplars,
    )
    return JsonReply(otel_metrics(context.store, project_id, query))
