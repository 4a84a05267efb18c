"""OTLP metrics to raw data points."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from spanhouse_server.clock import MAX_TIME_NS
from spanhouse_server.decode.common import scope_of
from spanhouse_server.decode.refuse import (
    ZERO_SPAN_ID,
    ZERO_TRACE_ID,
    Tally,
    describe_metric,
    refuse_metric,
    refuse_point,
)
from spanhouse_server.decode.values import attributes, finite
from spanhouse_server.model.raw import Attributes, Decoded, Exemplar, RawMetricPoint, Scope

#: The flag of a point that says there is no value now (a scrape target went away): nothing to keep.
_NO_VALUE = 1
#: SDKs keep one exemplar per bucket; the newest are kept of a point with more.
MAX_EXEMPLARS = 256
_TEMPORALITIES = ("unspecified", "delta", "cumulative")


def decode_metrics(message: Any, received_ns: int, large: bool, decoded: Decoded) -> Tally:
    """Append the good data points of an ``ExportMetricsServiceRequest`` to ``decoded.points``.

    Points that say there is no value are good, but leave nothing to append.
    """
    tally = Tally("data points")
    for resource_metrics in message.resource_metrics:
        resource = attributes(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = scope_of(scope_metrics.scope)
            for metric in scope_metrics.metrics:
                _metric(metric, resource, scope, received_ns, large, decoded, tally)
    return tally


def _metric(
    metric: Metric,
    resource: Attributes,
    scope: Scope,
    received_ns: int,
    large: bool,
    decoded: Decoded,
    tally: Tally,
) -> None:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    reason = refuse_metric(metric)
    if reason:
        if data.data_points:
            tally.refuse(reason, describe_metric, metric, len(data.data_points))
        return
    temporality = getattr(data, "aggregation_temporality", 0)
    fill = _FILLERS[kind]
    for point in data.data_points:
        reason = refuse_point(kind, point, large)
        if reason:
            tally.refuse(reason, describe_metric, metric)
            continue
        tally.accepted += 1
        if point.flags & _NO_VALUE:
            continue
        raw = RawMetricPoint(
            name=metric.name,
            description=metric.description,
            unit=metric.unit,
            type=kind,
            temporality=_TEMPORALITIES[temporality] if 0 <= temporality < 3 else "unspecified",
            monotonic=getattr(data, "is_monotonic", False),
            start_ns=point.start_time_unix_nano,
            time_ns=point.time_unix_nano or received_ns,
            attributes=attributes(point.attributes),
            resource=resource,
            scope=scope,
        )
        fill(raw, point)
        if kind != "summary" and point.exemplars:
            raw.exemplars = _exemplars(point.exemplars, raw.time_ns)
        decoded.points.append(raw)


def _exemplars(found: Any, time_ns: int) -> list[Exemplar]:
    """Return the examples of a point in order of time; what has no finite value is none.

    ``time_ns`` is the point's, for those that tell no time of their own.
    """
    made = []
    for exemplar in sorted(found, key=lambda each: each.time_unix_nano)[-MAX_EXEMPLARS:]:
        which = exemplar.WhichOneof("value")
        value = None if which is None else finite(float(getattr(exemplar, which)))
        if value is None:
            continue
        # As the exemplar of a measurement outside any trace, one with ids that cannot be kept has none.
        traced = (len(exemplar.trace_id), len(exemplar.span_id)) == (16, 8) and (
            exemplar.trace_id != ZERO_TRACE_ID and exemplar.span_id != ZERO_SPAN_ID
        )
        known = 0 < exemplar.time_unix_nano <= MAX_TIME_NS
        made.append(
            Exemplar(
                time_ns=exemplar.time_unix_nano if known else time_ns,
                value=value,
                trace_id=exemplar.trace_id.hex() if traced else "",
                span_id=exemplar.span_id.hex() if traced else "",
                attributes=attributes(exemplar.filtered_attributes),
            )
        )
    return made


def _fill_number(raw: RawMetricPoint, point: Any) -> None:
    which = point.WhichOneof("value")
    if which == "as_int":
        raw.value = float(point.as_int)
    elif which == "as_double":
        raw.value = finite(point.as_double)


def _fill_totals(raw: RawMetricPoint, point: Any) -> None:
    raw.count = point.count
    raw.sum = finite(point.sum) if point.HasField("sum") else None
    raw.min = finite(point.min) if point.HasField("min") else None
    raw.max = finite(point.max) if point.HasField("max") else None


def _fill_histogram(raw: RawMetricPoint, point: Any) -> None:
    _fill_totals(raw, point)
    raw.explicit_bounds = list(point.explicit_bounds)
    raw.bucket_counts = list(point.bucket_counts)


def _fill_exponential(raw: RawMetricPoint, point: Any) -> None:
    _fill_totals(raw, point)
    raw.scale = point.scale
    raw.zero_count = point.zero_count
    raw.positive_offset = point.positive.offset
    raw.positive_counts = list(point.positive.bucket_counts)
    raw.negative_offset = point.negative.offset
    raw.negative_counts = list(point.negative.bucket_counts)


def _fill_summary(raw: RawMetricPoint, point: Any) -> None:
    raw.count = point.count
    raw.sum = finite(point.sum)
    for at in point.quantile_values:
        value = finite(at.value)
        if value is not None and 0 <= at.quantile <= 1:  # also refuses NaN
            raw.quantiles.append((at.quantile, value))


_FILLERS = {
    "gauge": _fill_number,
    "sum": _fill_number,
    "histogram": _fill_histogram,
    "exponential_histogram": _fill_exponential,
    "summary": _fill_summary,
}
