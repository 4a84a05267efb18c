"""Langfuse's ingestion API: per-event answers, durable before they are given, and nothing else accepted."""

from __future__ import annotations

import gzip
import json
import os
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from spanhouse_server.decode import check, decode
from spanhouse_server.errors import BadRequest
from spanhouse_server.receive.langfuse_ingestion import MAX_EVENTS, MAX_FIELDS, Batch, read_batch, read_scores
from tests.unit.receive.conftest import ReceivingEnd, Reply
from tests.unit.receive.test_access import ADMIN, basic

AT = "2026-01-15T12:00:00.000Z"
JSON = {"content_type": "application/json"}


def event(kind: str, own_id: str = "e1", **body: Any) -> dict[str, Any]:
    return {"id": own_id, "type": kind, "timestamp": AT, "body": body}


def send(end: ReceivingEnd, *events: Any, **headers: str) -> Reply:
    return end.post("/api/public/ingestion", json.dumps({"batch": list(events)}), **JSON | headers)


def records(end: ReceivingEnd) -> list[Any]:
    found = []
    for entry in end.entries():
        assert entry.signal == "logs"
        message = ExportLogsServiceRequest.FromString(entry.body)
        found += decode("logs", message, entry.received_ns).logs
    return found


GOOD = event("span-create", "good", id="s1", traceId="t1", name="n")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("text", "an event is an object"),
        ({"type": "span-create"}, "text `id`"),
        (event("dataset-run-item-create"), "not kept here"),
        (event("span-delete", id="s"), "not kept here"),
        ({**GOOD, "type": ["span-create"]}, "not kept here"),
        ({**GOOD, "body": "x"}, "not an object"),
        ({**GOOD, "body": {f"f{n}": n for n in range(MAX_FIELDS + 1)}}, "at most"),
        ({**GOOD, "timestamp": "soon"}, "`timestamp`"),
        ({**GOOD, "timestamp": "1815-12-10T00:00:00Z"}, "`timestamp`"),
        (event("span-create", id="s", traceId="t", startTime="noon"), "`startTime`"),
        (event("span-create", id=7, traceId="t"), "`id` is not a text"),
        (event("span-create", id="x" * 501, traceId="t"), "`id` is not a text"),
        (event("span-update", traceId="t"), "needs the `id`"),
        (event("span-update", id="lost"), "needs the `traceId`"),
        (event("trace-create", id="t", timestamp="noon"), "`timestamp`"),
        (event("score-create", traceId="t", value=1), "`name`"),
        (event("score-create", traceId="t", name="n"), "`value`"),
        (event("score-create", traceId="t", name="n", value=[1]), "`value`"),
        (event("score-create", name="n", value=1), "`traceId` or a `sessionId`"),
    ],
)
def test_a_bad_event_is_refused_alone(end: ReceivingEnd, bad: Any, said: str) -> None:
    reply = send(end, bad, GOOD)
    answer = json.loads(reply.body)
    assert reply.status == 207
    assert answer["successes"] == [{"id": "good", "status": 201}]
    (error,) = answer["errors"]
    assert error["status"] == 400
    assert said in error["error"]
    assert [log.event_name for log in records(end)] == ["langfuse.span-create"]


def test_events_become_records_that_hold_everything(end: ReceivingEnd) -> None:
    body = {"id": "s1", "traceId": "t1", "input": {"a": [1, None]}, "metadata": None, "n": 2**70, "x": 0.5, "b": True}
    assert send(end, event("span-create", "e9", **body), x_langfuse_sdk_version="3.1.0").status == 207
    (log,) = records(end)
    assert log.body == {
        "id": "s1",
        "traceId": "t1",
        "input": '{"a":[1,null]}',
        "n": str(float(2**70)),
        "x": 0.5,
        "b": True,
    } | {"n": log.body["n"]}
    assert float(log.body["n"]) == 2.0**70
    assert log.attributes["langfuse.id"] == "s1"
    assert log.attributes["langfuse.event.id"] == "e9"
    assert log.attributes["langfuse.sdk.version"] == "3.1.0"
    assert log.time_ns == 1_768_478_400_000_000_000


def test_an_update_finds_its_trace_within_the_batch(end: ReceivingEnd) -> None:
    late = event("span-update", "late", id="s1", name="newer")
    assert json.loads(send(end, late, GOOD).body)["errors"] == []
    assert len({(log.trace_id, log.span_id) for log in records(end)}) == 1
    alone = event("event-create", "alone", name="no trace")
    assert json.loads(send(end, alone).body)["errors"] == []


def test_notices_of_the_sdk_are_taken_and_dropped(end: ReceivingEnd) -> None:
    answer = json.loads(send(end, event("sdk-log", "note", log="hello")).body)
    assert answer == {"successes": [{"id": "note", "status": 201}], "errors": []}
    assert end.entries() == []
    assert json.loads(send(end).body) == {"successes": [], "errors": []}


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("ingestion", b"{", JSON, 400),
        ("ingestion", b"[]", JSON, 400),
        ("ingestion", b'{"batch": 5}', JSON, 400),
        ("ingestion", b"\xff", JSON, 400),
        ("ingestion", b"[" * 100_000, JSON, 400),
        ("ingestion", json.dumps({"batch": [1] * (MAX_EVENTS + 1)}).encode(), JSON, 400),
        ("ingestion", b'{"batch": []}', {"content_type": "text/plain"}, 415),
        ("ingestion", b'{"batch": []}', {}, 415),
        ("ingestion", b'{"batch": []}', JSON | {"content_encoding": "br"}, 415),
        ("ingestion", gzip.compress(b'"' + bytes(17 * 1024 * 1024)), JSON | {"content_encoding": "gzip"}, 413),
        ("scores", b'{"name": "x", "value": 1}', JSON, 400),
        ("scores", b'"x"', JSON, 400),
        ("v2/prompts", b"{}", JSON, 404),
        ("", b"{}", JSON, 404),
    ],
)  # fmt: skip
def test_bad_requests_get_one_clear_answer(
    end: ReceivingEnd, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    reply = end.post(f"/api/public/{path}", body, **headers)
    assert (reply.status, reply.type) == (status, "application/json")
    answer = json.loads(reply.body)
    assert answer["error"]["code"]
    assert answer["message"].startswith(answer["error"]["message"])
    assert answer["error"]["hint"] in answer["message"]
    assert end.entries() == []
    assert end.receiver.in_flight.bytes == 0


def test_scores_alone_and_in_lists(end: ReceivingEnd) -> None:
    one = end.post("/api/public/scores", json.dumps({"id": "sc", "traceId": "t", "name": "n", "value": 1}), **JSON)
    assert (one.status, json.loads(one.body)) == (200, {"id": "sc"})
    nameless = end.post("/api/public/scores", b'{"traceId": "t", "name": "n", "value": "yes"}', **JSON)
    assert json.loads(nameless.body)["id"]
    listed = [{"sessionId": "s", "name": "n", "value": 1, "timestamp": AT}, {"traceId": "t", "value": 1}, 5]
    reply = end.post("/api/public/scores", json.dumps(listed), **JSON)
    answer = json.loads(reply.body)
    assert (reply.status, answer["accepted"], answer["rejected"]) == (207, 1, 2)
    assert "`name`" in answer["errors"][0]["message"]
    every = end.post("/api/public/scores", json.dumps(listed[:1]), **JSON)
    assert (every.status, json.loads(every.body)) == (202, {"message": "Accepted"})
    assert {log.event_name for log in records(end)} == {"langfuse.score-create"}
    assert end.spool.stats().rejected["invalid_langfuse_event"] >= 2


def test_a_full_spool_is_told_as_such(serve: Any) -> None:
    small = serve(fsync="off", spool_max_mb=1)
    replies = []
    for n in range(40):
        noise = os.urandom(100_000).hex()  # so that compressing it does not make it fit
        replies.append(send(small, event("span-create", "e", id=f"s{n}", traceId="t", input=noise)))
        if replies[-1].status != 207:
            break
    assert replies[-1].status == 503
    assert int(replies[-1].headers["retry-after"]) > 0


def get(end: ReceivingEnd, path: str, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(f"{end.url}/api/public/{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_what_the_sdks_ask_at_start(serve: Any) -> None:
    end = serve(require_keys=True, admin_key=ADMIN, fsync="off")
    _, secret = end.records.create_key(end.records.create_project("shop").id, "ci")
    assert get(end, "health")[0] == 200
    assert get(end, "projects")[0] == 401
    status, projects = get(end, "projects", authorization=basic("pk-lf-1", secret))
    assert status == 200
    assert [project["id"] for project in projects["data"]] == ["shop"]
    assert send(end, GOOD).status == 401
    assert send(end, GOOD).headers["www-authenticate"].startswith("Basic")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just(AT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(
    st.sampled_from(
        ["id", "traceId", "name", "value", "startTime", "endTime", "observationId", "sessionId", "input", "\0"]
    ),
    VALUES,
    max_size=8,
)
EVENTS = st.fixed_dictionaries(
    {"id": VALUES, "timestamp": st.just(AT) | VALUES, "body": BODIES | VALUES},
    optional={
        "type": st.sampled_from(["span-create", "trace-create", "score-create", "generation-update", "sdk-log"])
        | VALUES
    },
)


def test_half_a_character_costs_no_batch(end: ReceivingEnd) -> None:
    text = json.dumps({"batch": [event("span-create", id="s1", traceId="t1", name="cut \ud83d")]})
    assert end.post("/api/public/ingestion", text, **JSON).status == 207
    assert records(end)[0].body["name"] == "cut \ufffd"


@given(st.lists(EVENTS | VALUES, max_size=4))
def test_any_batch_is_answered_event_by_event_and_can_be_stored(events: list[Any]) -> None:
    try:
        batch = read_batch(json.dumps({"batch": events}).encode(), {"name": "python", "version": "1"})
    except BadRequest:  # and nothing else: NaN is no JSON
        return
    assert len(batch.successes) + len(batch.errors) == len(events)
    checked = check("logs", batch.message)
    assert (checked.accepted, checked.rejected) == (batch.accepted, {})
    decoded = decode("logs", ExportLogsServiceRequest.FromString(batch.message.SerializeToString()), 1)
    assert len(decoded.logs) == batch.accepted


@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_score_or_a_refusal(body: bytes) -> None:
    with suppress(BadRequest):  # and nothing else
        assert isinstance(read_scores(body, {}), Batch)


@pytest.mark.parametrize(
    ("method", "path", "hint"),
    [
        ("GET", "media/m1", "/api/v1/blobs/"),
        ("GET", "v2/prompts/greet", "`fallback`"),
        ("DELETE", "traces/t1", "retention"),
        ("DELETE", "traces", "retention"),
        ("GET", "sessions/s1", "/api/v1/sessions"),
        ("GET", "v2/datasets/d", "run_experiment()"),
        ("POST", "dataset-run-items", "run_experiment()"),
        ("GET", "v3/scores", "/api/v1/scores"),
        ("GET", "annotation-queues", ""),
    ],
)
def test_what_is_not_served_says_what_to_do_and_is_final(end: ReceivingEnd, method: str, path: str, hint: str) -> None:
    request = urllib.request.Request(f"{end.url}/api/public/{path}", method=method, data=b"{}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    # The SDKs try again after anything but a 4xx.
    assert refused.value.code == 404
    answer = json.load(refused.value)
    # Their clients show `message` alone.
    assert answer["message"] == "; ".join(filter(None, (answer["error"]["message"], answer["error"]["hint"])))
    assert answer["message"].startswith(f"{method} /api/public/{path} is not part of")
    assert hint in answer["error"]["hint"]
    assert bool(hint) == bool(answer["error"]["hint"])
    assert end.entries() == []
