"""The quick look at a body before it is acknowledged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spanhouse_server.decode.refuse import (
    MAX_RECORD_BYTES,
    Tally,
    describe_log,
    describe_metric,
    describe_span,
    refuse_log,
    refuse_metric,
    refuse_point,
    refuse_span,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a body holds: good records, refused ones by reason, and one sentence about these."""

    accepted: int
    rejected: dict[str, int] = field(default_factory=dict)
    message: str = ""


def check(signal: str, message: Any, size_bytes: int | None = None) -> Checked:
    """Return how many records of an export request will be kept, refusing what ``decode`` will.

    ``size_bytes`` is the size of the message in protobuf, where the caller knows it; measuring
    costs about as much as the rest of the check.
    """
    large = is_large(message, size_bytes)
    tally = _CHECKS[signal](message, large)
    return Checked(tally.accepted, tally.rejected, tally.message())


def is_large(message: Any, size_bytes: int | None) -> bool:
    """Tell whether a message is large enough to hold a record above the bound."""
    return (message.ByteSize() if size_bytes is None else size_bytes) > MAX_RECORD_BYTES


def _check_traces(message: Any, large: bool) -> Tally:
    tally = Tally("spans")
    accepted = 0
    for resource_spans in message.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                reason = refuse_span(span, large)
                if reason:
                    tally.refuse(reason, describe_span, span)
                else:
                    accepted += 1
    tally.accepted = accepted
    return tally


def _check_logs(message: Any, large: bool) -> Tally:
    tally = Tally("log records")
    for resource_logs in message.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                reason = refuse_log(record, large)
                if reason:
                    tally.refuse(reason, describe_log, record)
                else:
                    tally.accepted += 1
    return tally


def _check_metrics(message: Any, large: bool) -> Tally:
    tally = Tally("data points")
    for resource_metrics in message.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                _check_metric(metric, large, tally)
    return tally


def _check_metric(metric: Any, large: bool, tally: Tally) -> None:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    points = getattr(metric, kind).data_points
    reason = refuse_metric(metric)
    if reason:
        if points:
            tally.refuse(reason, describe_metric, metric, len(points))
        return
    for point in points:
        reason = refuse_point(kind, point, large)
        if reason:
            tally.refuse(reason, describe_metric, metric)
        else:
            tally.accepted += 1


_CHECKS = {"traces": _check_traces, "logs": _check_logs, "metrics": _check_metrics}
