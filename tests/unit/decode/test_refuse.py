"""Single bad records: refused alone, with count, reason and first offender."""

from typing import Any

import pytest

from spanhouse_server.clock import MAX_TIME_NS
from spanhouse_server.decode import check, decode, parse, refuse
from tests.unit.decode.samples import (
    JSON,
    RECEIVED_NS,
    SPAN_ID,
    TRACE_ID,
    add_span,
    json_span,
    json_traces,
    logs,
    metrics,
    traces,
)


def both(signal: str, message: Any, size_bytes: int | None = None) -> Any:
    """Check and decode; they must agree."""
    checked = check(signal, message, size_bytes)
    decoded = decode(signal, message, RECEIVED_NS, size_bytes)
    kept = len(decoded.spans) + len(decoded.logs) + len(decoded.points)
    assert (kept, decoded.rejected, decoded.message) == (checked.accepted, checked.rejected, checked.message)
    return checked


@pytest.mark.parametrize(
    ("fields", "reason", "says"),
    [
        ({"trace_id": b""}, "invalid_trace_id", "trace_id that is missing"),
        ({"trace_id": bytes(16)}, "invalid_trace_id", "trace_id that is all zero"),
        ({"trace_id": b"x" * 15}, "invalid_trace_id", "15 bytes long instead of 16"),
        ({"trace_id": TRACE_ID.hex().encode()}, "invalid_trace_id", "32 bytes long instead of 16; was hexadecimal"),
        ({"span_id": b""}, "invalid_span_id", "span_id that is missing"),
        ({"span_id": bytes(8)}, "invalid_span_id", "span_id that is all zero"),
        ({"span_id": SPAN_ID + b"x"}, "invalid_span_id", "9 bytes long instead of 8"),
        ({"start_time_unix_nano": MAX_TIME_NS + 1}, "invalid_time", "after the year 2262"),
        ({"end_time_unix_nano": 2**64 - 1}, "invalid_time", "after the year 2262"),
    ],
)
def test_bad_spans(fields: dict[str, Any], reason: str, says: str) -> None:
    message = traces(**fields)
    add_span(message.resource_spans[0].scope_spans[0].spans)
    checked = both("traces", message)
    assert (checked.accepted, checked.rejected) == (1, {reason: 1})
    assert checked.message.startswith(f'1 of 2 spans rejected (1 {reason}); the first: span "chat gpt-4o"')
    assert says in checked.message


def test_times_up_to_2262_are_kept() -> None:
    assert both("traces", traces(end_time_unix_nano=MAX_TIME_NS)).rejected == {}


@pytest.mark.parametrize(
    ("fields", "reason", "says"),
    [
        ({"traceId": "W47/95gDgQPSabYzgT/GDA=="}, "invalid_trace_id", "looks like base64"),
        ({"spanId": "7uGbfsPBsXQ="}, "invalid_span_id", "looks like base64"),
        ({"traceId": "xyz"}, "invalid_trace_id", 'not 32 hexadecimal digits: "xyz"'),
        ({"traceId": "abcd"}, "invalid_trace_id", "2 bytes long instead of 16"),
        # 7 characters behind the marker must not add up to a valid length.
        ({"traceId": "ghijklm"}, "invalid_trace_id", "not 32 hexadecimal digits"),
        ({"traceId": "zz" * 5000}, "invalid_trace_id", "not 32 hexadecimal digits"),
        ({"startTimeUnixNano": "yesterday"}, "invalid_time", "no number"),
        ({"startTimeUnixNano": -1}, "invalid_time", "negative"),
        ({"endTimeUnixNano": 1e300}, "invalid_time", "2262"),
        ({"endTimeUnixNano": "9" * 5000}, "invalid_time", "2262"),
    ],
)
def test_bad_json_ids_and_times_refuse_the_span_not_the_body(fields: dict[str, Any], reason: str, says: str) -> None:
    checked = both("traces", parse("traces", JSON, json_traces(json_span(), json_span(**fields))))
    assert (checked.accepted, checked.rejected) == (1, {reason: 1})
    assert says in checked.message
    assert len(checked.message) < 500


def test_several_reasons_are_counted_and_the_first_offender_named() -> None:
    message = traces()
    spans = message.resource_spans[0].scope_spans[0].spans
    add_span(spans, trace_id=b"", name="")
    add_span(spans, span_id=b"", name="second" * 100)
    add_span(spans, trace_id=b"x")
    checked = both("traces", message)
    assert checked.rejected == {"invalid_trace_id": 2, "invalid_span_id": 1}
    assert checked.message == (
        "3 of 4 spans rejected (2 invalid_trace_id, 1 invalid_span_id); "
        "the first: a span has a trace_id that is missing"
    )


def test_a_huge_span_is_refused_alone() -> None:
    message = traces()
    huge = add_span(message.resource_spans[0].scope_spans[0].spans)
    huge.attributes.add(key="prompt").value.string_value = "x" * refuse.MAX_RECORD_BYTES
    for size_bytes in (None, message.ByteSize()):
        checked = both("traces", message, size_bytes)
        assert (checked.accepted, checked.rejected) == (1, {"span_too_large": 1})
        assert "larger than 16777216 bytes" in checked.message


def test_many_spans_may_be_larger_together() -> None:
    message = traces()
    spans = message.resource_spans[0].scope_spans[0].spans
    for _ in range(3):
        add_span(spans).attributes.add(key="prompt").value.string_value = "x" * (refuse.MAX_RECORD_BYTES // 2)
    assert both("traces", message).accepted == 4


@pytest.mark.parametrize(
    ("fields", "rejected"),
    [
        ({"trace_id": b"", "span_id": b""}, {}),
        ({"trace_id": bytes(16), "span_id": bytes(8)}, {}),
        ({"trace_id": b"x"}, {"invalid_trace_id": 1}),
        ({"span_id": b"x"}, {"invalid_span_id": 1}),
        ({"time_unix_nano": 2**63}, {"invalid_time": 1}),
        ({"observed_time_unix_nano": 2**63}, {"invalid_time": 1}),
        ({"severity_text": "x" * refuse.MAX_RECORD_BYTES}, {"log_record_too_large": 1}),
    ],
)
def test_logs_need_no_ids_but_no_wrong_ones(fields: dict[str, Any], rejected: dict[str, int]) -> None:
    checked = both("logs", logs(**fields))
    assert checked.rejected == rejected
    assert bool(checked.message) == bool(rejected)


def test_bad_data_points_are_refused_alone() -> None:
    message = metrics()
    all_metrics = message.resource_metrics[0].scope_metrics[0].metrics
    gauge, histogram = all_metrics[0].gauge, all_metrics[2].histogram
    gauge.data_points.add(as_int=1, time_unix_nano=2**63)
    histogram.data_points.add(bucket_counts=[1], explicit_bounds=[1.0, 2.0])
    histogram.data_points.add(bucket_counts=[1, 1], explicit_bounds=[float("inf")])
    histogram.data_points.add(bucket_counts=[1, 1], explicit_bounds=[float("nan")])
    histogram.data_points.add(count=4)
    histogram.data_points.add(count=4, bucket_counts=[4])
    all_metrics.add().gauge.data_points.add(as_int=1)
    checked = both("metrics", message)
    assert checked.rejected == {"invalid_time": 1, "invalid_histogram": 3, "missing_metric_name": 1}
    assert checked.accepted == 9
    assert checked.message.startswith("5 of 14 data points rejected")
    assert 'metric "hw.gpu.utilization" has a data point with a time' in checked.message


def test_metrics_without_data_count_nothing() -> None:
    message = metrics()
    message.resource_metrics[0].scope_metrics[0].metrics.add(name="nothing")
    message.resource_metrics[0].scope_metrics[0].metrics.add().gauge.SetInParent()
    assert both("metrics", message).rejected == {}
