"""Whole bodies: what is read, and what is refused with which sentence."""

import gzip
from typing import Any

import orjson
import pytest

from spanhouse_server.decode import check, decode, parse, parse_received
from spanhouse_server.errors import UndecodableBody
from tests.unit.decode.samples import (
    FULL,
    JSON,
    PROTOBUF,
    RECEIVED_NS,
    SPAN_ID,
    START_NS,
    TRACE_ID,
    as_json,
    json_span,
    json_traces,
    traces,
    wrap_value,
)


def only_span(body: bytes) -> Any:
    return parse("traces", JSON, body).resource_spans[0].scope_spans[0].spans[0]


def only_attribute(value: Any) -> Any:
    body = json_traces(json_span(attributes=[{"key": "k", "value": value}]))
    checked = decode("traces", parse("traces", JSON, body), RECEIVED_NS)
    assert not checked.rejected, checked.message
    return checked.spans[0].attributes["k"]


@pytest.mark.parametrize("signal", FULL)
def test_json_becomes_the_same_message_as_protobuf(signal: str) -> None:
    message = FULL[signal]()
    if signal == "metrics":  # NaN is not equal to itself
        message.resource_metrics[0].scope_metrics[0].metrics[-1].summary.data_points[0].quantile_values[1].value = 5
    from_protobuf = parse(signal, PROTOBUF, message.SerializeToString())
    from_json = parse(signal, JSON, orjson.dumps(as_json(message)))
    assert from_protobuf == message
    assert from_json == message


@pytest.mark.parametrize("signal", FULL)
def test_empty_requests_are_fine(signal: str) -> None:
    for media_type, body in ((PROTOBUF, b""), (JSON, b"{}"), (JSON, b' {"unknown": [1, {"x": null}]} ')):
        message = parse(signal, media_type, body)
        assert check(signal, message).accepted == 0
        assert check(signal, message).message == ""


def test_ids_are_hex_in_either_case() -> None:
    span = only_span(json_traces(json_span(traceId=TRACE_ID.hex().upper())))
    assert span.trace_id == TRACE_ID


@pytest.mark.parametrize(
    ("given", "time_ns"),
    [(START_NS, START_NS), (str(START_NS), START_NS), ("1.5e18", 15 * 10**17), (1.5e18, 15 * 10**17), (None, 0)],
)
def test_64_bit_integers_come_as_strings_or_numbers(given: Any, time_ns: int) -> None:
    assert only_span(json_traces(json_span(startTimeUnixNano=given))).start_time_unix_nano == time_ns


@pytest.mark.parametrize(("given", "kind"), [(3, 3), ("SPAN_KIND_CLIENT", 3), ("3", 3), (99, 99), (None, 0)])
def test_enums_are_numbers_and_names_are_tolerated(given: Any, kind: int) -> None:
    assert only_span(json_traces(json_span(kind=given))).kind == kind


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"stringValue": "x"}, "x"),
        ({"stringValue": ""}, ""),
        ({"intValue": "-5"}, -5),
        ({"intValue": 5}, 5),
        ({"intValue": "9223372036854775807"}, 2**63 - 1),
        ({"intValue": "9223372036854775808"}, float(2**63)),
        ({"intValue": 1.0}, 1),
        ({"intValue": 1.5}, 1.5),
        ({"doubleValue": 1}, 1.0),
        ({"doubleValue": "0.5"}, 0.5),
        ({"doubleValue": "NaN"}, "NaN"),
        ({"doubleValue": "Infinity"}, "Infinity"),
        ({"doubleValue": "-Infinity"}, "-Infinity"),
        ({"boolValue": False}, False),
        ({"bytesValue": "AP8="}, "AP8="),
        ({"bytesValue": "_-8"}, "/+8="),
        ({"arrayValue": {}}, []),
        ({"arrayValue": {"values": [{"intValue": 1}, {}]}}, [1, None]),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"stringValue": "b"}}]}}, {"a": "b"}),
        ({"kvlistValue": {}}, {}),
        ({}, None),
        (None, None),
        ({"someFutureValue": 1}, None),
    ],
)
def test_values(value: Any, plain: Any) -> None:
    read = only_attribute(value)
    assert read == plain
    assert type(read) is type(plain)


def test_lone_surrogate_escapes_of_javascript_are_replaced() -> None:
    body = json_traces(json_span(name="NAME")).replace(b"NAME", rb"cut \ud83d, \\ud83d, whole \ud83d\ude00, low \ude00")
    assert only_span(body).name == "cut \ufffd, \\ud83d, whole \U0001f600, low \ufffd"


def test_byte_order_mark_and_media_type_parameters_are_tolerated() -> None:
    assert parse("traces", "Application/JSON; charset=utf-8", b"\xef\xbb\xbf{}") is not None


GOOD = traces().SerializeToString()


@pytest.mark.parametrize(
    ("media_type", "body", "says"),
    [
        (PROTOBUF, GOOD[:-3], "truncated or corrupt"),
        (PROTOBUF, b"\xff" * 20, "truncated or corrupt"),
        (PROTOBUF, b'{"resourceSpans": []}', "looks like JSON"),
        (PROTOBUF, gzip.compress(GOOD), "compressed with gzip"),
        (PROTOBUF, GOOD.replace(b"chat gpt-4o", b"chat \xff\xfet-4o"), "not valid UTF-8"),
        (PROTOBUF, wrap_value(1000).SerializeToString(), "nested deeper"),
        (JSON, b"", "empty"),
        (JSON, GOOD, "looks like protobuf"),
        (JSON, b'{"resourceSpans": [', "not valid JSON"),
        (JSON, b'{"resourceSpans": NaN}', "not valid JSON"),
        (JSON, b'{"a": "\xff"}', "not valid UTF-8"),
        (JSON, b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested deeper than 1024"),
        (JSON, b"[]", "not an object"),
        (JSON, b"3", "not an object"),
        (JSON, b'{"resourceSpans": {}}', "resourceSpans must be a list"),
        (JSON, b'{"resourceSpans": [{"scopeSpans": 7}]}', "resourceSpans.scopeSpans must be a list"),
        (JSON, b'{"resourceSpans": [7]}', "resourceSpans cannot be"),
        (JSON, b'{"resourceSpans": [{"resource": {"attributes": [{"key": 5}]}}]}', "resource.attributes cannot be"),
        ("text/plain", GOOD, "media type 'text/plain'"),
    ],
)
def test_unreadable_bodies_get_one_clear_sentence(media_type: str, body: bytes, says: str) -> None:
    with pytest.raises(UndecodableBody) as caught:
        parse("traces", media_type, body)
    assert says in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": 5}, "name cannot be 5"),
        ({"attributes": {}}, "attributes must be a list"),
        ({"attributes": ["x"]}, "attributes cannot be"),
        ({"attributes": [{"key": "k", "value": "bare"}]}, "attributes cannot be"),
        ({"attributes": [{"key": "k", "value": {"boolValue": 1}}]}, "attributes cannot be"),
        ({"attributes": [{"key": "k", "value": {"bytesValue": "a!"}}]}, "attributes cannot be"),
        ({"attributes": [{"key": "k", "value": {"intValue": True}}]}, "attributes cannot be"),
        ({"events": [{"name": []}]}, "events.name cannot be"),
        ({"status": {"code": "NOPE"}}, "status.code cannot be"),
        ({"traceId": 5}, "traceId cannot be 5"),
        ({"droppedEventsCount": -1}, "droppedEventsCount cannot be -1"),
    ],
)
def test_an_unreadable_json_span_is_refused_alone(fields: dict[str, Any], path: str) -> None:
    message = parse("traces", JSON, json_traces(json_span(), json_span(**fields), json_span(name="last")))
    checked = check("traces", message)
    assert checked.accepted == 2
    assert checked.rejected == {"unreadable_span": 1}
    assert path in checked.message
    # What is kept in the spool is protobuf: the refusal must survive the way through it.
    again = decode("traces", parse("traces", PROTOBUF, message.SerializeToString()), RECEIVED_NS)
    assert [span.name for span in again.spans] == ["work", "last"]
    assert (again.rejected, again.message) == (checked.rejected, checked.message)


def test_a_span_that_is_no_object_is_refused_alone() -> None:
    checked = check("traces", parse("traces", JSON, json_traces(json_span(), 7, None, [])))
    assert (checked.accepted, checked.rejected) == (1, {"unreadable_span": 3})
    assert "is not an object" in checked.message


def test_unreadable_logs_and_metrics_are_refused_alone() -> None:
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityText": 1}, {"body": {"stringValue": "ok"}}]}]}]}
    checked = check("logs", parse("logs", JSON, orjson.dumps(logs)))
    assert (checked.accepted, checked.rejected) == (1, {"unreadable_log_record": 1})
    bad = {"name": "m", "gauge": {"dataPoints": [{"asDouble": "x"}, {"asInt": "1"}]}}
    good = {"name": "n", "gauge": {"dataPoints": [{"asInt": "1"}]}}
    metrics = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [bad, good]}]}]}
    checked = check("metrics", parse("metrics", JSON, orjson.dumps(metrics)))
    assert (checked.accepted, checked.rejected) == (1, {"unreadable_metric": 2})
    assert "gauge.dataPoints.asDouble cannot be" in checked.message


@pytest.mark.parametrize("depth", [30, 46, 47, 60, 75])
def test_deep_json_is_kept_only_if_protobuf_can_carry_it(depth: int) -> None:
    """47 nested arrays are what protobuf readers take; JSON may be a little stricter, never laxer."""
    value: dict[str, Any] = {"intValue": 1}
    for _ in range(depth):
        value = {"arrayValue": {"values": [value]}}
    message = parse("traces", JSON, json_traces(json_span(attributes=[{"key": "k", "value": value}]), json_span()))
    checked = check("traces", message)
    assert checked.accepted == (2 if depth <= 46 else 1)
    again = parse("traces", PROTOBUF, message.SerializeToString())
    assert check("traces", again) == checked


def test_protobuf_values_nest_to_the_limit_of_protobuf() -> None:
    body = wrap_value(47).SerializeToString()
    decoded = decode("traces", parse("traces", PROTOBUF, body), RECEIVED_NS)
    value = decoded.spans[0].attributes["deep"]
    for _ in range(47):
        (value,) = value
    assert value == 1


@pytest.mark.parametrize(
    ("signal", "text"), [("traces", "grüße 🌍"), ("logs", "grüße 🌍"), ("metrics", "hw.gpu.utilization")]
)
def test_one_record_that_cannot_be_parsed_is_refused_alone(signal: str, text: str) -> None:
    good = FULL[signal]().SerializeToString()
    known = check(signal, parse(signal, PROTOBUF, good))
    assert known.accepted >= 1
    spoilt = good.replace(text.encode(), b"\xff" * len(text.encode()))
    assert spoilt != good
    with pytest.raises(UndecodableBody):
        parse(signal, PROTOBUF, spoilt + good)
    # Two requests one behind the other are one with the groups of both.
    message, kept = parse_received(signal, PROTOBUF, good + spoilt)
    found = check(signal, message)
    assert found.accepted >= known.accepted
    assert found.rejected, "the record at fault was taken"
    assert "not valid UTF-8" in found.message
    assert parse(signal, PROTOBUF, kept) == message


def test_a_body_of_too_many_records_to_look_at_is_refused_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    body = GOOD.replace(b"chat gpt-4o", b"chat \xff\xfet-4o")
    assert parse_received("traces", PROTOBUF, body)
    monkeypatch.setattr("spanhouse_server.decode.salvage.MAX_TRIED", 3)
    with pytest.raises(UndecodableBody):
        parse_received("traces", PROTOBUF, body)


def test_what_can_be_parsed_is_kept_as_it_came() -> None:
    unknown_field = b"\xf8\x07\x01"
    body = traces().SerializeToString() + unknown_field
    assert parse_received("traces", PROTOBUF, body)[1] == body


def test_span_id_constants_are_what_the_samples_say() -> None:
    span = only_span(json_traces(json_span()))
    assert (span.trace_id, span.span_id) == (TRACE_ID, SPAN_ID)
