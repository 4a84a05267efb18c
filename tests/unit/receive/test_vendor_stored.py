"""From a vendor's door to the store: what the SDKs sent is there as traces and scores, once.

Everything is real: the receiver, the spool, the pipeline and the embedded engine.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanhouse_server.drain.workshop import Workshop
from spanhouse_server.ops.health import Health
from spanhouse_server.ops.metrics import Metrics
from spanhouse_server.pipeline import Pipeline
from spanhouse_server.query.scores import scores_of
from spanhouse_server.query.span import span_detail
from spanhouse_server.store.contract import ColumnarStore
from tests import otlp
from tests.stored import columnar
from tests.unit.receive.conftest import ReceivingEnd
from tests.unit.receive.test_vendor_paths import RECORDED, post, replay

Row = dict[str, Any]
JSON = {"content-type": "application/json"}


class Kept:
    """A receiving end whose spool is drained into a store."""

    def __init__(self, end: ReceivingEnd, store: ColumnarStore) -> None:
        self.end = end
        self.store = store
        self._pipeline = Pipeline(end.spool, store, Workshop(0), dict, Metrics(), Health())
        self._before = self._counters()

    def _counters(self) -> tuple[int, int, int, int]:
        stats = self.end.spool.stats()
        return stats.received_spans, stats.stored_spans, stats.duplicate_spans, stats.received_logs

    def counted(self) -> tuple[int, int, int, int]:
        """Return by how much the counters rose: spans received, stored and repeated, logs received."""
        received, stored, repeated, logs = (
            now - then for now, then in zip(self._counters(), self._before, strict=True)
        )
        return received, stored, repeated, logs

    def drain(self) -> None:
        """Store what waits, as the draining thread would."""
        self._pipeline._drain()
        assert self.end.spool.stats().set_aside == 0
        assert self.end.spool.stats().requests == 0

    def ingest(self, *events: Row) -> None:
        """Send events through Langfuse's door and store them."""
        reply = post(self.end, "/api/public/ingestion", json.dumps({"batch": list(events)}).encode(), JSON)
        assert json.loads(reply.body)["errors"] == []
        self.drain()

    def spans(self, trace_id: str) -> dict[str, Row]:
        """Return the stored spans of a trace by name, as the API shows them."""
        found = self.store.select(
            "SELECT span_id FROM span_index FINAL WHERE project_id = 'default' AND trace_id = {trace:String}",
            {"trace": trace_id},
        )
        details = [span_detail(self.store, "default", trace_id, row["span_id"]) for row in found]
        assert len({detail["name"] for detail in details}) == len(details)
        return {detail["name"]: detail for detail in details}

    def scores(self) -> list[Row]:
        """Return all scores by name."""
        return self.store.select("SELECT * FROM scores FINAL WHERE project_id = 'default' ORDER BY name")

    def clear(self) -> None:
        """Forget what waits."""
        self.end.spool.ack([entry.sequence for entry in self.end.entries()])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColumnarStore]:
    with columnar(tmp_path_factory.mktemp("kept")) as opened:
        yield opened


@pytest.fixture
def kept(end: ReceivingEnd, store: ColumnarStore, monkeypatch: pytest.MonkeyPatch) -> Kept:
    monkeypatch.setattr("spanhouse_server.pipeline.LINGER_S", 0.0)  # nothing else is coming
    return Kept(end, store)


def trace_of(store: ColumnarStore, trace_id: str) -> Row:
    (row,) = store.select(
        "SELECT * FROM traces FINAL WHERE project_id = 'default' AND trace_id = {trace:String}", {"trace": trace_id}
    )
    return row


def test_langfuse_2(kept: Kept) -> None:
    sent = json.loads(RECORDED["langfuse-2-ingestion"]["body"])["batch"]
    trace_id = sent[0]["body"]["id"].replace("-", "")
    replay(kept.end, RECORDED["langfuse-2-ingestion"])
    kept.drain()
    once = kept.spans(trace_id)
    assert set(once) == {"support", "retrieve", "answer", "clicked", "broken"}
    root = once["support"]
    assert {span["parent_span_id"] for name, span in once.items() if name != "support"} == {root["span_id"]}
    assert once["broken"]["status_code"] == "error"
    assert once["answer"]["attributes"]["langfuse.observation.output"] == '{"role":"assistant","content":"Sure."}'
    trace = trace_of(kept.store, trace_id)
    assert (trace["name"], trace["session_id"], trace["user_id"], trace["span_count"]) == ("support", "s-1", "ann", 5)
    assert trace["end_ns"] == max(row["end_ns"] for row in kept.store.select("SELECT end_ns FROM spans FINAL"))
    assert trace["tags"] == ["a", "b"]
    assert (once["answer"]["category"], once["answer"]["request_model"]) == ("llm", "gpt-4o")
    assert (trace["input_tokens"], trace["output_tokens"], trace["cost_status"]) == (100, 20, "priced")
    on_answer = scores_of(kept.store, "default", trace_id=trace_id, span_id=once["answer"]["span_id"])
    assert [(score["name"], score["value"], score["explanation"]) for score in on_answer] == [("helpful", 0.9, "good")]

    assert kept.counted() == (5, 5, 0, 0)
    before = kept.store.select("SELECT count() AS n, sum(cityHash64(score_id)) AS h FROM scores FINAL")
    replay(kept.end, RECORDED["langfuse-2-ingestion"])
    kept.drain()
    again = kept.spans(trace_id)
    assert {name: span["attributes"] for name, span in again.items()} == {
        name: span["attributes"] for name, span in once.items()
    }
    assert kept.store.select("SELECT count() AS n, sum(cityHash64(score_id)) AS h FROM scores FINAL") == before
    assert kept.counted() == (5, 5, 0, 0)


def test_a_trace_that_langfuse_js_updates_began_when_it_began(kept: Kept) -> None:
    """This SDK puts the moment of the update into the trace's own `timestamp`."""
    sent = json.loads(RECORDED["langfuse-js-3-update"]["body"])["batch"]
    told = [event["body"]["timestamp"] for event in sent if event["type"] == "trace-create"]
    assert len(set(told)) == 2
    replay(kept.end, RECORDED["langfuse-js-3-update"])
    kept.drain()
    spans = kept.spans(sent[0]["body"]["traceId"].replace("-", ""))
    root, slow = spans["long"], spans["slow"]
    assert root["start_time"].startswith(min(told)[:23])
    assert (root["input_preview"], root["output_preview"]) == ("q", "bye")
    assert root["duration_ms"] >= slow["duration_ms"] > 300


def event(kind: str, at: int, **body: Any) -> Row:
    return {"id": f"{kind}-{at}", "type": kind, "timestamp": f"2026-01-15T12:00:{at:02d}Z", "body": body}


def story(trace: str) -> list[Row]:
    return [
        event("trace-create", 0, id=trace, name="root", timestamp="2026-01-15T12:00:00Z"),
        event("generation-create", 1, id=f"{trace}-g", traceId=trace, name="call", startTime="2026-01-15T12:00:01Z"),
        event("generation-update", 9, id=f"{trace}-g", traceId=trace, output="done", endTime="2026-01-15T12:00:09Z"),
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_updates_merge_whatever_came_first(kept: Kept, order: tuple[int, ...]) -> None:
    trace = f"{''.join(map(str, order)):0>32}".replace("0", "a")
    events = story(trace)
    for at in order:  # each in a batch of its own
        kept.ingest(events[at])
    spans = kept.spans(trace)
    assert set(spans) == {"root", "call"}
    assert spans["call"]["attributes"]["langfuse.observation.output"] == "done"
    assert spans["call"]["duration_ms"] == 8000.0
    assert spans["root"]["duration_ms"] == 9000.0
    assert trace_of(kept.store, trace)["span_count"] == 2
    assert kept.counted() == (2, 2, 0, 0)


def test_a_crash_before_the_spool_forgets_changes_nothing(kept: Kept) -> None:
    """The same entries are stored twice, as after a crash between insert and acknowledgement."""
    trace = "c" * 32
    post(kept.end, "/api/public/ingestion", json.dumps({"batch": story(trace)}).encode(), JSON)
    entries = kept.end.entries()
    pipeline = kept._pipeline
    tables = ("spans", "logs", "scores")

    def state() -> list[Any]:
        return [kept.store.select(f"SELECT * FROM {table} FINAL ORDER BY ALL") for table in tables]  # noqa: S608

    first = pipeline._insert(pipeline._submit(entries).result())
    once = state()
    again = pipeline._insert(pipeline._submit(entries).result())
    assert state() == once
    assert (first.assembled_spans, again.assembled_spans) == (2, 2)  # only one of the two is acknowledged


def test_secrets_in_langfuse_bodies_are_not_stored(kept: Kept) -> None:
    secret = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789"
    trace = "d" * 32
    kept.ingest(
        event("span-create", 0, id="s", traceId=trace, name="leaky", input={"headers": {"authorization": f"Bearer {secret}"}}),
        event("score-create", 1, traceId=trace, name="leak", value=1, comment=f"key {secret}"),
    )  # fmt: skip
    for table in ("spans", "logs", "scores"):
        text = json.dumps(kept.store.select(f"SELECT * FROM {table} FINAL"), default=str)  # noqa: S608
        assert secret not in text


def test_projects_do_not_meet(kept: Kept, serve: Callable[..., ReceivingEnd]) -> None:
    end = serve(require_keys=True, fsync="off", admin_key="x" * 20)
    keys = [end.records.create_key(end.records.create_project(name).id, "k")[1] for name in ("one", "two")]
    both = Kept(end, kept.store)
    for at, key in enumerate(keys):
        events = [event("span-create", at, id="same", traceId="e" * 32, name=f"of {at}")]
        body = json.dumps({"batch": events}).encode()
        assert post(end, "/api/public/ingestion", body, JSON | {"x-api-key": key}).status == 207
    both.drain()
    found = kept.store.select(
        "SELECT project_id, name FROM spans FINAL WHERE trace_id = {t:String} ORDER BY 1", {"t": "e" * 32}
    )
    assert [(row["project_id"], row["name"]) for row in found] == [("one", "of 0"), ("two", "of 1")]


def test_a_carrier_judges_what_its_link_leads_to(kept: Kept) -> None:
    """OpenInference's feedback after the fact: a span of its own trace with one link, which is shown as well."""
    judged_trace, judged_span = "1a" * 16, "1b" * 8
    message = ExportTraceServiceRequest.FromString(
        otlp.request(
            otlp.span(judged_trace, judged_span),
            otlp.span("2a" * 16, "2b" * 8, attributes={
                "annotations.0.annotation.name": "correctness", "annotations.0.annotation.score": 1,
                "annotations.0.annotation.annotator_kind": "HUMAN"}),
        )
    )  # fmt: skip
    message.resource_spans[0].scope_spans[0].spans[1].links.add(
        trace_id=bytes.fromhex(judged_trace),
        span_id=bytes.fromhex(judged_span),
        trace_state="a=b",
        attributes=otlp.attributes({"why": "review", "n": 2}),
    )
    assert post(kept.end, "/v1/traces", message.SerializeToString(), {}).status == 200
    kept.drain()
    (score,) = span_detail(kept.store, "default", judged_trace, judged_span)["scores"]
    assert (score["name"], score["value"], score["source"]) == ("correctness", 1.0, "human")
    carrier = span_detail(kept.store, "default", "2a" * 16, "2b" * 8)
    assert carrier["scores"] == []
    assert carrier["links"] == [
        {
            "trace_id": judged_trace,
            "span_id": judged_span,
            "trace_state": "a=b",
            "attributes": {"why": "review", "n": 2},
        }
    ]


def test_feedback_from_telemetry_is_on_its_span(kept: Kept) -> None:
    replay(kept.end, RECORDED["logfire-feedback"])
    judged_trace, judged_span = "f" * 32, "f" * 16
    answered = otlp.span(
        judged_trace, judged_span, attributes={"gen_ai.operation.name": "chat", "gen_ai.response.id": "resp-7"}
    )
    evaluation = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.75}
    bodies = [
        ("/v1/traces", otlp.request(answered)),
        ("/v1/logs", otlp.log_request(judged_trace, judged_span, ("gen_ai.evaluation.result", "", evaluation))),
        # Only the answer is named, and the record is in no trace.
        ("/v1/logs", otlp.log_request("", "", ("gen_ai.evaluation.result", "", {
            "gen_ai.evaluation.name": "fluency", "gen_ai.evaluation.score.label": "pass", "gen_ai.response.id": "resp-7"}))),
        ("/v1/logs", otlp.log_request("", "", ("gen_ai.evaluation.result", "", {
            "gen_ai.evaluation.name": "lost", "gen_ai.evaluation.score.value": 1, "gen_ai.response.id": "never seen"}))),
    ]  # fmt: skip
    for _ in range(2):
        for path, body in bodies:
            assert post(kept.end, path, body, {}).status == 200
        kept.drain()
    found = {score["name"]: score for score in scores_of(kept.store, "default", trace_id=judged_trace)}
    assert {
        name: (score["span_id"], score["value"], score["label"], score["source"]) for name, score in found.items()
    } == {
        "relevance": (judged_span, 0.75, "", "judge"),
        "fluency": (judged_span, None, "pass", "judge"),
    }
    logfire = [row for row in kept.scores() if row["score_id"].startswith("logfire-")]
    assert {(row["name"], row["value"], row["label"]) for row in logfire} == {
        ("factuality", 0.8, ""), ("tone", None, "kind"), ("passed", 1.0, "")}  # fmt: skip
    (target,) = {(row["trace_id"], row["span_id"]) for row in logfire}
    assert span_detail(kept.store, "default", *target)["name"] == "answer"
    assert len(kept.scores()) == len({row["score_id"] for row in kept.scores()})
