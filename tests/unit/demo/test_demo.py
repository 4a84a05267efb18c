"""The demo's traffic, received over a real socket, has everything the pages are to show."""

from __future__ import annotations

import sys
import time

import pytest

import spanhouse
from spanhouse_server.clock import NS_PER_S, now_ns
from spanhouse_server.demo import Summary, run
from spanhouse_server.errors import BadRequest, Unavailable
from tests.unit.sdk.capture import Capture, CaptureServer
from tests.unit.sdk.test_sending import free_port


@pytest.fixture(scope="module")
def demo() -> tuple[Capture, Summary, set[str]]:
    spanhouse.shutdown(timeout_s=0.1)
    sleepers: set[str] = set()
    real = time.sleep

    def sleep(seconds: float) -> None:
        sleepers.add(sys._getframe(1).f_globals["__name__"])
        real(seconds)

    with pytest.MonkeyPatch.context() as patch, CaptureServer() as capture:
        patch.setattr(time, "sleep", sleep)
        return capture, run(capture.url, "sk-demo", traces=40), sleepers


def named(capture: Capture, prefix: str):
    return [span for span in capture.spans if span.name.startswith(prefix)]


def test_it_is_quick_and_complete(demo):
    capture, summary, sleepers = demo
    assert not {name for name in sleepers if name.startswith("spanhouse_server")}, "its hours pass at once"
    assert summary.traces == len(named(capture, "answer customer")) == 40
    assert len({span.trace_id for span in capture.spans}) == 40
    assert summary.items_sent == len(capture.spans) + len(capture.scores)
    assert summary.items_dropped == 0
    assert capture.requests[0][2]["authorization"] == "Bearer sk-demo"
    assert capture.url in str(summary)
    assert "40 traces" in str(summary)


def test_traces_are_well_formed_and_lie_in_the_last_hours(demo):
    capture, _, _ = demo
    spans = {span.span_id: span for span in capture.spans}
    for span in capture.spans:
        assert span.start_ns <= span.end_ns <= now_ns()
        assert span.start_ns > now_ns() - 7 * 3600 * NS_PER_S
        if span.parent_id:
            parent = spans[span.parent_id]
            assert parent.trace_id == span.trace_id
            assert parent.start_ns <= span.start_ns
            assert span.end_ns <= parent.end_ns
    starts = sorted(span.start_ns for span in named(capture, "answer customer"))
    assert starts[-1] - starts[0] > 3600 * NS_PER_S
    kinds = {span.attributes["spanhouse.kind"] for span in capture.spans}
    assert kinds == {"workflow", "task", "agent", "tool", "llm", "embedding", "retriever", "guardrail"}


def test_sessions_users_tags_prompts_and_scores(demo):
    capture, summary, _ = demo
    roots = named(capture, "answer customer")
    turns = {}
    for root in roots:
        turns.setdefault(root.attributes["session.id"], []).append(root)
        assert root.attributes["spanhouse.tags"]
        assert root.attributes["spanhouse.metadata.channel"] in ("chat", "email")
        assert root.resource["service.name"] == "support-desk"
    assert len(turns) == summary.sessions >= 12
    assert max(map(len, turns.values())) >= 3
    assert len({root.attributes["user.id"] for root in roots}) == summary.users >= 10
    prompts = {span.attributes.get("gen_ai.prompt.name") for span in capture.spans}
    assert {"intent-classifier", "support-answer"} <= prompts
    trace_ids = {root.trace_id for root in roots}
    assert {score["name"] for score in capture.scores} == {"feedback", "resolved"}
    assert all(score["trace_id"] in trace_ids for score in capture.scores)


def test_models_usage_streams_documents_and_tools(demo):
    capture, _, _ = demo
    calls = [span for span in capture.spans if span.attributes["spanhouse.kind"] in ("llm", "embedding")]
    models = {span.attributes["gen_ai.request.model"] for span in calls}
    assert models == {"gpt-4o-mini", "claude-sonnet-4-5", "o4-mini", "shop-guard-7b", "text-embedding-3-small"}
    assert any(span.attributes.get("gen_ai.usage.cache_read.input_tokens", 0) > 0 for span in calls)
    assert any(span.attributes.get("gen_ai.usage.reasoning.output_tokens", 0) > 0 for span in calls)
    streamed = [span for span in calls if "gen_ai.response.time_to_first_chunk" in span.attributes]
    assert len(streamed) >= 35
    assert all(0.2 < span.attributes["gen_ai.response.time_to_first_chunk"] < 4 for span in streamed)
    for span in calls:
        cached = span.attributes.get("gen_ai.usage.cache_read.input_tokens", 0)
        assert cached <= span.attributes.get("gen_ai.usage.input_tokens", 0)
    (search, *_) = named(capture, "retrieval help centre")
    document = search.json("gen_ai.retrieval.documents")[0]
    assert document["score"] > 0.7
    assert document["metadata"]["title"]
    tools = named(capture, "execute_tool")
    assert {"look_up_order", "track_parcel", "issue_refund"} <= {span.attributes["gen_ai.tool.name"] for span in tools}


def test_it_shows_failures_of_every_kind(demo):
    capture, summary, _ = demo
    failed_tools = [span for span in named(capture, "execute_tool track_parcel") if span.status == 2]
    assert failed_tools
    assert failed_tools[0].events[0][0] == "exception"
    errors = {span.attributes["error.type"].rpartition(".")[2] for span in named(capture, "chat") if span.status == 2}
    assert errors == {"ModelOverloadedError", "ModelUnavailableError"}
    failed = [root for root in named(capture, "answer customer") if root.status == 2]
    assert len(failed) == summary.failed_turns >= 1


def test_runs_do_not_collide_and_any_number_of_traces_is_sent():
    spanhouse.shutdown(timeout_s=0.1)
    with CaptureServer() as capture:
        assert run(capture.url, traces=1).traces == 1
        assert run(capture.url, traces=75).traces == 75
    assert len({span.span_id for span in capture.spans}) == len(capture.spans)
    assert len({span.trace_id for span in capture.spans}) == 76


def test_trouble_is_said_plainly():
    with pytest.raises(Unavailable, match="no server answers"):
        run(f"http://127.0.0.1:{free_port()}", traces=1)
    with pytest.raises(BadRequest, match="at least one"):
        run("http://127.0.0.1:4318", traces=0)
    with CaptureServer() as capture:
        capture.answers = [(401, {})] * 50
        with pytest.raises(BadRequest, match="refused"):
            run(capture.url, traces=2)
