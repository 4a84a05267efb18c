"""Figures over time, facets, the filter's fields, stored OTLP metrics."""

from __future__ import annotations

from pydantic import Field

from spanhouse_server.show.schemas.common import Reply


class Series(Reply):
    """One line of a chart."""

    group: dict[str, str] = Field(description="The group's value by field; {'other': 'true'} for what did not fit.")
    points: list[tuple[int, float | None]] = Field(description="[bucket start in unix seconds, value]; null: no data.")
    total: float | None = Field(description="The metric over the whole range.")


class MetricsReply(Reply):
    """A metric over time."""

    metric: str
    unit: str
    interval_s: int
    from_time: str
    to_time: str
    series: list[Series]


class FacetValue(Reply):
    """A value with how many traces or spans have it."""

    value: str
    count: int


class FacetsReply(Reply):
    """The most frequent values of a field."""

    field: str
    values: list[FacetValue]
    more: bool = Field(description="There are further values.")


class FieldItem(Reply):
    """A field of the filter language."""

    name: str
    type: str = Field(description="text, number, duration, money, time, or set (values of a list).")
    help: str
    operators: list[str]
    values: list[str] = Field(description="The only values there are; empty when open.")
    aliases: list[str]
    facet: bool = Field(description="Can be asked for at /facets.")
    group: bool = Field(description="Can be used in group_by at /metrics.")


class FieldsReply(Reply):
    """The fields of the filter language, for completion."""

    items: list[FieldItem]


class OtelMetricName(Reply):
    """A stored OTLP metric."""

    name: str
    type: str
    unit: str
    description: str
    point_count: int
    last_time: str


class OtelExemplar(Reply):
    """One measurement that went into a point, with the span that was active; empty ids where none was."""

    time: str
    value: float
    trace_id: str
    span_id: str
    attributes: dict[str, str] = Field(description="Those that the point itself does not tell apart.")


class OtelSeries(Reply):
    """The points of one series, or of several put together: [unix seconds, value]."""

    attributes: dict[str, str] = Field(description="Of the series, or what `group_by` asked for.")
    service_name: str
    host_name: str
    type: str = Field(description="gauge, sum, histogram, exponential_histogram or summary.")
    unit: str
    series_count: int
    points: list[tuple[float, float | None]]
    exemplars: list[OtelExemplar] = Field(description="As many as were asked for, newest first.")


class OtelMetricsReply(Reply):
    """Names of stored metrics, or the series of one."""

    metrics: list[OtelMetricName]
    series: list[OtelSeries]
    interval_s: int
    stat: str = Field(description="What the points are; empty where types differ and each gives its usual one.")
    truncated: bool = Field(description="More series or points exist than are returned.")


class LogItem(Reply):
    """One log record of a trace."""

    time: str
    span_id: str
    severity_number: int
    severity_text: str
    event_name: str
    service_name: str
    body: object = Field(description="Any JSON value.")
    attributes: dict[str, object]


class LogList(Reply):
    """The log records of a trace, oldest first."""

    items: list[LogItem]
    next_cursor: str | None
